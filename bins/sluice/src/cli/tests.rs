//! From argument vectors to what the verbs see: every option of runc, in every spelling.

use super::*;

/// Every option that callers of runc use, verb by verb: `=` marks an option with a value, `*` a repeatable one.
///
/// Source: the command lines of runc 1.1 and its successors, of go-runc, conmon, podman, cri-o and buildkit.
const OPTIONS: &[(&str, &str)] = &[
    (
        "create",
        "bundle= b= console-socket= pidfd-socket= pid-file= no-pivot no-new-keyring preserve-fds= detach",
    ),
    (
        "run",
        "bundle= b= console-socket= pidfd-socket= pid-file= no-pivot no-new-keyring preserve-fds= detach d keep \
         no-subreaper",
    ),
    ("start", ""),
    (
        "exec",
        "console-socket= pidfd-socket= cwd= env* e* tty t user= u= additional-gids* g* process= p= detach d \
         pid-file= process-label= apparmor= no-new-privs cap* c* preserve-fds= cgroup* ignore-paused",
    ),
    ("delete", "force f"),
    ("kill", "all a"),
    ("state", ""),
    ("list", "format= f= quiet q"),
    ("ps", "format= f="),
    ("events", "interval= stats"),
    ("pause", ""),
    ("resume", ""),
    (
        "update",
        "resources= r= blkio-weight= cpu-period= cpu-quota= cpu-burst= cpu-share= cpu-rt-period= cpu-rt-runtime= \
         cpu-idle= cpuset-cpus= cpuset-mems= memory= memory-reservation= memory-swap= pids-limit= \
         l3-cache-schema= mem-bw-schema= kernel-memory= kernel-memory-tcp=",
    ),
    (
        "checkpoint",
        "image-path= work-path= parent-path= leave-running tcp-established tcp-skip-in-flight link-remap \
         ext-unix-sk shell-job lazy-pages status-fd= page-server= file-locks pre-dump manage-cgroups-mode= \
         empty-ns* auto-dedup",
    ),
    (
        "restore",
        "console-socket= image-path= work-path= tcp-established ext-unix-sk shell-job file-locks \
         manage-cgroups-mode= bundle= b= detach d pid-file= no-subreaper no-pivot empty-ns* auto-dedup lazy-pages \
         lsm-profile= lsm-mount-context=",
    ),
    ("features", ""),
    ("spec", "bundle= b= rootless"),
];

fn verb(name: &str) -> &'static Verb {
    find(&OsString::from(name)).expect("a verb")
}

fn parse(verb: &Verb, words: &[String]) -> Result<(clap::ArgMatches, Vec<OsString>), String> {
    let command = help::command(verb);
    let words = words.iter().map(OsString::from).collect();
    let split = match verb.order {
        Order::Mixed => argv::mixed(&command, words),
        Order::OptionsFirst => argv::split(&command, words),
    };
    let matches = command.try_get_matches_from(split.options).map_err(|error| complaint(&error))?;
    Ok((matches, split.rest))
}

fn dashed(name: &str) -> Vec<String> {
    match name.len() {
        1 => vec![format!("-{name}")],
        _ => vec![format!("--{name}"), format!("-{name}")],
    }
}

#[test]
fn every_verb_has_its_row() {
    let mut rows: Vec<_> = OPTIONS.iter().map(|row| row.0).collect();
    let mut verbs: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
    rows.sort_unstable();
    verbs.sort_unstable();
    assert_eq!(rows, verbs);
}

#[test]
fn every_option_of_runc_parses_in_all_its_spellings() {
    for (name, options) in OPTIONS {
        for option in options.split_whitespace() {
            let bare = option.trim_end_matches(['=', '*']);
            for dashes in dashed(bare) {
                let spellings = if bare == option {
                    vec![vec![dashes.clone()], vec![format!("{dashes}=true")]]
                } else {
                    vec![vec![dashes.clone(), "-1".into()], vec![format!("{dashes}=-1")]]
                };
                for mut words in spellings {
                    words.push("c1".into());
                    let (_, rest) =
                        parse(verb(name), &words).unwrap_or_else(|e| panic!("{name} {words:?}: {e}"));
                    assert_eq!(rest, ["c1"], "{name} {words:?}");
                }
            }
        }
    }
}

#[test]
fn repeatable_options_keep_every_value_and_are_not_split_at_commas() {
    for (name, options) in OPTIONS {
        for option in options.split_whitespace().filter_map(|option| option.strip_suffix('*')) {
            let Some(arg) = (verb(name).options)().into_iter().find(|arg| arg.get_long() == Some(option))
            else {
                continue;
            };
            let words = [format!("--{option}"), "a,b".into(), format!("--{option}=c")];
            let (matches, _) = parse(verb(name), &words).expect("parses");
            let values: Vec<_> =
                matches.get_many::<OsString>(arg.get_id().as_str()).expect("values").collect();
            assert_eq!(values, ["a,b", "c"], "{name} --{option}");
        }
    }
}

#[test]
fn what_follows_the_id_of_exec_and_ps_is_not_ours() {
    for name in ["exec", "ps"] {
        let words = ["c1", "ls", "-l", "--force"].map(String::from);
        let (_, rest) = parse(verb(name), &words).expect("parses");
        assert_eq!(rest, ["c1", "ls", "-l", "--force"], "{name}");
    }
}

#[test]
fn options_of_other_verbs_may_follow_the_id() {
    let (matches, rest) = parse(verb("delete"), &["c1", "--force"].map(String::from)).expect("parses");
    assert!(matches.get_flag("force"));
    assert_eq!(rest, ["c1"]);
}

#[test]
fn a_complaint_is_one_line_with_the_nearest_option() {
    for (words, text) in [
        (vec!["--forec", "c1"], "unknown option \"--forec\": did you mean \"--force\"?"),
        (
            vec!["--force=maybe"],
            "invalid --force \"maybe\": it is a switch, so only true or false may follow",
        ),
    ] {
        let words: Vec<_> = words.into_iter().map(String::from).collect();
        assert_eq!(parse(verb("delete"), &words).expect_err("wrong"), text);
    }
    let missing = parse(verb("run"), &["--bundle".into()]).expect_err("no value");
    assert_eq!(missing, "a value is required for '--bundle <DIR>' but none was supplied");
}

#[test]
fn the_nearest_verb_is_suggested() {
    for (given, hint) in [
        ("stat", Some("state")),
        ("strat", Some("start")),
        ("exce", Some("exec")),
        ("remove", None),
        ("frobnicate", None),
    ] {
        let text = unknown(given).to_string();
        let want =
            hint.map_or("`sluice --help` lists all".into(), |hint| format!("did you mean \"{hint}\"?"));
        assert_eq!(text, format!("unknown command \"{given}\": {want}"));
    }
}

#[test]
fn every_verb_says_what_it_does_and_shows_an_example_that_parses() {
    for verb in VERBS {
        let text = help::of_verb(verb, answer::Colour::Off);
        assert!(text.contains(verb.about) && text.contains("Example:"), "{text}");
        let words: Vec<_> = verb.example.split_whitespace().map(String::from).collect();
        assert_eq!(words[0], verb.name);
        let (_, rest) = parse(verb, &words[1..]).unwrap_or_else(|e| panic!("{}: {e}", verb.example));
        assert!(verb.count.admits(rest.len()), "{}", verb.example);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

#[test]
fn only_a_terminal_gets_colours() {
    assert!(help::of_program(answer::Colour::On).contains("\x1b["));
    assert!(!help::of_program(answer::Colour::Off).contains('\x1b'));
}
