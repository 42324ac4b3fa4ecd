//! How the shim is started, found again, and grouped by pod.

use containerd_shim_protos::api::{ConnectRequest, ConnectResponse, ShutdownRequest};
use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use protobuf::Message as _;
use protobuf::well_known_types::empty::Empty;
use rustix::thread::CoreSchedulingScope;
use serde_json::json;
use testkit::Config;
use testkit::hang::eventually;
use ttrpc::Client;

use crate::session::{Beginning, NAMESPACE, begin, call, sessions};

fn shut_down(client: &Client) {
    let _ends: Result<Empty, _> = call(client, "Shutdown", &ShutdownRequest::new());
}

fn connect(client: &Client) -> ConnectResponse {
    call(client, "Connect", &ConnectRequest::new()).unwrap()
}

sessions! {
    #[doc = "A container of the same pod gets the shim of the pod; nothing but the address is printed."]
    fn a_pod_has_one_shim(session) {
        let group = |name: &str| {
            let annotations = json!({"io.kubernetes.cri.sandbox-id": name});
            session.lab.bundle(&Config::new().set("/annotations", annotations))
        };
        let (pod, other) = (session.first().id().to_owned(), "elsewhere");
        let joined = begin(session.lab, &session.binary, &group(&pod), &Beginning::default());
        assert_eq!(String::from_utf8(joined.stdout).unwrap(), format!("unix://{}", session.socket().display()));
        assert!(joined.stderr.is_empty());
        let alone = begin(session.lab, &session.binary, &group(other), &Beginning::default());
        let address = String::from_utf8(alone.stdout).unwrap();
        assert_ne!(address, format!("unix://{}", session.socket().display()));
        let client = Client::connect(&address).unwrap();
        shut_down(&client);
        let socket = std::path::PathBuf::from(address.trim_start_matches("unix://"));
        eventually("the other shim's socket to go", || !socket.exists());
    }
}

sessions! {
    ours
    /// The stock shim of containerd 1.6 knows no parameters; that of 2.3 and later answers like this.
    fn parameters_are_answered_with_a_result(session) {
        let second = session.lab.bundle(&Config::new());
        let annotated = Config::new().set("/annotations", json!({"io.containerd.runc.v2.group": session.first().id()}));
        second.write_config(&annotated);
        let parameters = BootstrapParams {
            instance_id: second.id().to_owned(),
            namespace: NAMESPACE.to_owned(),
            ..BootstrapParams::default()
        };
        let input = parameters.write_to_bytes().unwrap();
        let output = begin(session.lab, &session.binary, &second, &Beginning { input: &input, ..Beginning::default() });
        let result = BootstrapResult::parse_from_bytes(&output.stdout).unwrap();
        assert_eq!(result.address, format!("unix://{}", session.socket().display()));
        assert_eq!((result.version, result.protocol.as_str()), (2, "ttrpc"));
    }

    ours
    /// A socket that a killed shim left is taken over.
    fn a_dead_socket_is_taken_over(session) {
        let address = std::fs::read_to_string(session.first().bundle().join("address")).unwrap();
        assert_eq!(address, format!("unix://{}", session.socket().display()));
        let pid = i32::try_from(connect(&session.another_client()).shim_pid).unwrap();
        testkit::process::signal(pid, rustix::process::Signal::KILL);
        eventually("the shim to be dead", || !testkit::process::is_alive(pid));
        assert!(session.socket().exists());
        let output = begin(session.lab, &session.binary, session.first(), &Beginning::default());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), address);
        let client = session.another_client();
        assert_ne!(connect(&client).shim_pid, u32::try_from(pid).unwrap());
        shut_down(&client);
    }
}

sessions! {
    #[doc = "Who asks for cores of its own (`SCHED_CORE`) gets a shim with a cookie, or none on a kernel without them."]
    fn cores_of_its_own_are_not_promised_in_vain(session) {
        let second = session.lab.bundle(&Config::new());
        let known = rustix::thread::core_scheduling_cookie(rustix::process::getpid(), CoreSchedulingScope::Thread);
        let asking = Beginning { environment: &[("SCHED_CORE", "1")], ..Beginning::default() };
        let output = begin(session.lab, &session.binary, &second, &asking);
        let (told, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        if known == Err(rustix::io::Errno::INVAL) {
            assert!(!output.status.success(), "{told}");
            assert!(said.contains("sched core") || said.contains("core scheduling"), "{said}");
            return;
        }
        if known == Err(rustix::io::Errno::NODEV) && session.stock_differs("does not start where no core runs two threads") {
            return;
        }
        let client = Client::connect(&told).unwrap();
        let pid = connect(&client).shim_pid;
        if known.is_ok() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let cookie = rustix::thread::core_scheduling_cookie(pid, CoreSchedulingScope::Thread).unwrap();
            assert_ne!(cookie, 0);
        }
        shut_down(&client);
    }
}
