//! `--log` and `--log-format`: one JSON object a line in the file, plain text on standard error.

use std::fs;

use serde_json::Value;
use testkit::conformance;

conformance! {
    fn an_error_is_json_in_the_file_and_plain_on_stderr(lab) {
        let file = lab.path("log.json");
        let log = file.to_str().unwrap();
        let output = lab.run(&["--log", log, "--log-format", "json", "state", "nobody"]).code(1);
        let text = fs::read_to_string(&file).unwrap();
        let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let error = entries.iter().find(|entry| entry["level"] == "error").unwrap();
        assert!(error["msg"].as_str().unwrap().contains("does not exist"), "{text}");
        assert!(error["time"].as_str().unwrap().contains('T'), "{text}");
        assert_eq!(output.stderr.trim(), error["msg"].as_str().unwrap());
        assert_eq!(output.stdout, "");
    }

    fn the_file_is_appended_to(lab) {
        let file = lab.write("log.json", "{\"level\":\"info\",\"msg\":\"before\"}\n");
        let log = format!("--log={}", file.display());
        lab.run(&[&log, "--log-format=json", "state", "nobody"]).code(1);
        lab.run(&[&log, "--log-format=json", "state", "nobody"]).code(1);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("\"error\"")).count(), 2, "{text}");
        assert!(text.starts_with("{\"level\":\"info\""), "{text}");
    }

    fn text_is_the_default_format(lab) {
        let file = lab.path("log");
        lab.run(&["--log", file.to_str().unwrap(), "state", "nobody"]).code(1);
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("level=error msg=") && text.contains("time="), "{text}");
    }

    fn without_a_file_the_log_goes_to_stderr_once(lab) {
        let output = lab.run(&["state", "nobody"]).code(1);
        assert_eq!(output.stderr.matches("does not exist").count(), 1, "{output}");
        assert_eq!(output.stdout, "");
    }

    fn json_on_stderr_when_no_file_is_given(lab) {
        let output = lab.run(&["--log-format", "json", "state", "nobody"]).code(1);
        let entry: Value = serde_json::from_str(output.stderr.trim()).unwrap();
        assert_eq!(entry["level"], "error");
    }

    fn an_unknown_format_is_refused(lab) {
        lab.run(&["--log-format", "xml", "list"]).code(1).says("invalid log-format").says("xml");
    }

    fn the_root_directory_is_no_state_root(lab) {
        if lab.reference_lacks("the refusal of `--root /`: since runc 1.2") {
            return;
        }
        lab.program(lab.binary()).args(["--root", "/", "list"]).run().code(1).says("root");
    }

    fn the_version_parses_as_callers_parse_it(lab) {
        let text = lab.run(&["--version"]).ok().stdout;
        let versions = text.lines().filter(|line| line.contains("version")).count();
        assert_eq!(versions, 1, "dockerd takes the last line that holds the word: {text}");
        assert!(
            text.lines().next().unwrap().starts_with(&format!("{} version ", lab.runtime().name())),
            "{text}"
        );
        assert!(text.lines().any(|line| line.starts_with("spec: 1.")), "{text}");
    }

    fn features_is_json_with_what_engines_read(lab) {
        let features = lab.run(&["features"]).ok().json();
        assert_eq!(features["linux"]["cgroup"]["v2"], true);
        assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string());
        for kind in
            ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        {
            assert!(features["hooks"].as_array().unwrap().iter().any(|hook| hook == kind), "{kind}");
        }
        assert!(features["mountOptions"].as_array().unwrap().iter().any(|option| option == "rbind"));
        assert_eq!(features["linux"]["seccomp"]["enabled"], true);
        assert_eq!(features["linux"]["cgroup"]["v1"], true);
        if !lab.reference_lacks("id-mapped mounts, which containerd's CRI asks for before a pod with a user namespace") {
            assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
        }
    }

    fn spec_writes_a_config_that_runs(lab) {
        let directory = lab.path("spec");
        fs::create_dir(&directory).unwrap();
        lab.run(&["spec", "--bundle", directory.to_str().unwrap()]).ok();
        let text = fs::read_to_string(directory.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["root"]["path"], "rootfs");
        assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
        lab.run(&["spec", "--bundle", directory.to_str().unwrap()]).code(1);
    }

    fn checkpoint_and_restore_never_pretend(lab) {
        if lab.reference_lacks("nothing: it does checkpoint") {
            return;
        }
        let c = lab.sleeper();
        c.verb("checkpoint", &[], &[]).run().code(1).says("criu");
        assert_eq!(c.status(), "running");
        lab.run(&["restore", "other"]).code(1).says("criu");
    }
}
