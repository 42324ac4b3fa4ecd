//! `--help`, for the program and for each verb.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Arg, ArgAction, Command};

use crate::answer::Colour;
use crate::cli::VERBS;
use crate::globals;
use crate::verb::{Group, Order, Verb};

const HEADING: Style = AnsiColor::Yellow.on_default().bold();
const WORD: Style = AnsiColor::Green.on_default();

/// The parser of one verb's options.
pub(crate) fn command(verb: &Verb) -> Command {
    let options = if (verb.options)().is_empty() { "" } else { "[OPTIONS] " };
    Command::new(verb.name)
        .no_binary_name(true)
        .disable_help_flag(true)
        .args_override_self(true)
        .styles(styles())
        .override_usage(format!("sluice {} {options}{}", verb.name, verb.synopsis))
        .about(format!("{}{}", verb.about, remark(verb.order)))
        .args((verb.options)())
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print this help"))
        .after_help(format!("{HEADING}Example:{HEADING:#}\n  sluice {}", verb.example))
}

/// The help of one verb.
pub(crate) fn of_verb(verb: &Verb, colour: Colour) -> String {
    render(command(verb), colour)
}

/// The help of the program.
pub(crate) fn of_program(colour: Colour) -> String {
    let command = globals::command()
        .styles(styles())
        .about("Run containers as the Open Container Initiative describes them")
        .override_usage("sluice [OPTIONS] COMMAND [COMMAND OPTIONS] ARGUMENTS...")
        .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}")
        .before_help(verbs())
        .after_help(format!(
            "{HEADING}First steps:{HEADING:#}\n  \
             mkdir -p bundle/rootfs/bin && cp \"$(command -v busybox)\" bundle/rootfs/bin/sh\n  \
             sluice spec --bundle bundle\n  \
             sluice run --bundle bundle c1\n\n\
             `sluice COMMAND --help` shows the options of a command and an example."
        ));
    render(command, colour)
}

fn render(mut command: Command, colour: Colour) -> String {
    let help = command.render_help();
    match colour {
        Colour::On => help.ansi().to_string(),
        Colour::Off => help.to_string(),
    }
}

fn styles() -> Styles {
    Styles::plain().header(HEADING).usage(HEADING).literal(WORD).placeholder(AnsiColor::Cyan.on_default())
}

fn remark(order: Order) -> &'static str {
    match order {
        Order::Mixed => "",
        Order::OptionsFirst => {
            "\n\nOptions stand before ID; what follows it is passed on as it is, options too."
        }
    }
}

fn verbs() -> String {
    let width = VERBS.iter().map(|verb| verb.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for group in Group::ALL {
        let _ = writeln!(text, "{HEADING}{}:{HEADING:#}", group.title());
        for verb in VERBS.iter().filter(|verb| verb.group == group) {
            let _ = writeln!(text, "  {WORD}{:width$}{WORD:#}  {}", verb.name, verb.about);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}
