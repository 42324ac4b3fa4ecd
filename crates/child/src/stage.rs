//! The steps of the last mile, how they are named, and how a refused one is reported.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use sys::shared_page::SharedWord;

/// One row per step: the name in code, its number in a report, and the words of an error message.
macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A step of the last mile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Stage { $($(#[$doc])* $name = $number,)* }

        impl Stage {
            /// Every stage in the order of its number.
            pub const ALL: &'static [Stage] = &[$(Stage::$name,)*];

            /// The step in words, for a message: "join the namespaces".
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Stage::$name => $text,)* }
            }

            /// The step of a number in a report.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Stage> {
                match number { $($number => Some(Stage::$name),)* _ => None }
            }
        }
    };
}

stages! {
    /// Born; nothing done yet.
    Start = 0, "begin";
    /// Signal mask and dispositions.
    Signals = 1, "reset the signals";
    /// `oom_score_adj` raised so that an out-of-memory kill takes this process and not the container's.
    OomVictim = 2, "become the preferred out-of-memory victim";
    /// The LSM label's file opened.
    OpenLabel = 3, "open the label attribute";
    /// Resource limits; detail = RLIMIT number.
    Rlimit = 4, "set the resource limits";
    /// Scheduling policy, I/O priority, processors.
    Scheduler = 5, "set the scheduling attributes";
    /// A write of `0` to a v1 `tasks` file; detail = index of the file.
    Cgroup = 6, "join the cgroup";
    /// `PR_SET_DUMPABLE`.
    Undumpable = 7, "become undumpable";
    /// `setns` into the container's namespaces.
    Namespaces = 8, "join the namespaces";
    /// Uid and gid 0 of a joined user namespace.
    NamespaceRoot = 9, "become root of the user namespace";
    /// `setsid`.
    Session = 10, "start a session";
    /// The terminal made the controlling one and put on 0, 1, 2.
    Terminal = 11, "take the terminal";
    /// The session keyring.
    Keyring = 12, "join the session keyring";
    /// Every other descriptor closed.
    CloseDescriptors = 13, "close the inherited descriptors";
    /// `chdir`.
    WorkingDirectory = 14, "change to the working directory";
    /// The working directory lies outside the container.
    Outside = 15, "verify the working directory";
    /// The owner of stdin, stdout or stderr; detail = descriptor.
    StdioOwner = 16, "give the standard streams to the user";
    /// The seccomp filter.
    Seccomp = 17, "load the seccomp filter";
    /// The seccomp listener handed over.
    SeccompListener = 18, "hand over the seccomp listener";
    /// Capabilities taken out of the bounding set; detail = capability.
    BoundingSet = 19, "drop capabilities from the bounding set";
    /// `setgroups`.
    Groups = 20, "set the additional groups";
    /// `setresgid`.
    Gid = 21, "set the group id";
    /// `setresuid`.
    Uid = 22, "set the user id";
    /// `capset`.
    Capabilities = 23, "set the capabilities";
    /// `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs = 24, "set no_new_privs";
    /// The configured `oom_score_adj`.
    OomScore = 25, "set oom_score_adj";
    /// The LSM label of the next `execve`.
    Label = 26, "set the label for execve";
    /// `execve`; detail = index of the path tried.
    Execve = 27, "execve";
    /// `personality(2)`.
    Personality = 28, "set the personality";
    /// Memory taken and given back, so that the program finds some.
    Room = 29, "find memory for the program";
    /// The container's `/dev/null` on 0, 1 and 2 in the place of the host's.
    Null = 30, "open the container's /dev/null";
    /// The user's home directory, looked up in the container's `/etc/passwd`.
    Home = 31, "look up the home directory";
    /// Standard input, output and error.
    Streams = 32, "take the standard streams";
}

/// A step that the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which step.
    pub stage: Stage,
    /// What the kernel said.
    pub errno: Errno,
    /// Which of several operands; see [`Stage`].
    pub detail: u32,
}

/// Size of a report in bytes: three native words.
pub const REPORT_SIZE: usize = 12;

impl Failure {
    /// The report that travels through the pipe; shorter than `PIPE_BUF`, so it is never torn.
    #[must_use]
    pub fn to_bytes(self) -> [u8; REPORT_SIZE] {
        let mut bytes = [0; REPORT_SIZE];
        let words = [self.stage as u32, self.errno.raw_os_error().unsigned_abs(), self.detail];
        for (slot, byte) in bytes.iter_mut().zip(words.iter().flat_map(|word| word.to_ne_bytes())) {
            *slot = byte;
        }
        bytes
    }

    /// Reads a report; none when the bytes are not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Failure> {
        let word = |index: usize| -> Option<u32> {
            let bytes = bytes.get(index * 4..index * 4 + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let errno = sys::errno_from(u16::try_from(word(1)?).ok()?);
        Some(Failure { stage: Stage::from_number(word(0)?)?, errno, detail: word(2)? })
    }
}

/// Where a child notes its progress and says its last word.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The stage word, shared with the parent.
    pub word: &'a SharedWord,
    /// The write end of the pipe, close-on-exec.
    pub pipe: BorrowedFd<'a>,
}

impl Report<'_> {
    /// Notes the stage, then takes the step.
    ///
    /// # Errors
    /// The errno of the step, with the stage.
    pub fn step<T>(&self, stage: Stage, step: impl FnOnce() -> Result<T, Errno>) -> Result<T, Failure> {
        self.step_of(stage, 0, step)
    }

    /// As [`Report::step`], for one of several operands.
    ///
    /// # Errors
    /// The errno of the step, with the stage and `detail`.
    pub fn step_of<T>(
        &self,
        stage: Stage,
        detail: u32,
        step: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Failure> {
        self.word.set(stage as u32);
        step().map_err(|errno| Failure { stage, errno, detail })
    }

    /// Sends the failure. Nothing can be done when the parent is gone.
    ///
    /// Kernel: a pipe allocates its buffer at the first write, which a cgroup without memory refuses. So the failure
    /// also goes where memory is already.
    pub fn send(&self, failure: Failure) {
        self.word.set(failure.stage as u32);
        self.word.leave(failure.errno.raw_os_error().unsigned_abs(), failure.detail);
        let _ = rustix::io::write(self.pipe, &failure.to_bytes());
    }

    /// The end of a child that did not reach its program.
    pub fn end(&self, failure: Failure) -> ! {
        self.send(failure);
        sys::clone::exit(255)
    }

    /// The failure that was left in the shared page, if one was.
    #[must_use]
    pub fn left(word: &SharedWord) -> Option<Failure> {
        let (errno, detail) = word.left()?;
        let words = [word.get(), errno, detail].map(u32::to_ne_bytes);
        Failure::from_bytes(words.as_flattened())
    }
}
