//! Rules files that are broken, huge or no files at all, given to the program itself: it answers, in bounded time and
//! memory, with a text of bounded length. What the answers are is tested in the engine, see `engine/tests/bad_input.rs`.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::stat::Mode;

/// A program that takes longer hangs. Nothing here takes more than a few seconds on an idle machine.
const DEADLINE: Duration = Duration::from_secs(300);
/// The most memory any run may take, in KiB.
const MEMORY: i64 = 1024 * 1024;
/// The most that is said about a file, in bytes.
const WORDS: u64 = 4 * 1024 * 1024;

/// What `lanner -V FILE` says, and whether it likes the file.
fn validate(file: &Path, stdin: Stdio) -> (bool, String) {
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["-c", "/dev/null", "-V"])
        .arg(file)
        .stdin(stdin)
        .stdout(said.reopen().unwrap())
        .stderr(File::options().append(true).open(said.path()).unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + DEADLINE;
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                process.kill().unwrap();
                process.wait().unwrap();
                panic!("{} hangs it", file.display());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let length = said.as_file().metadata().unwrap().len();
    assert!(length < WORDS, "{}: {length} bytes", file.display());
    let said = String::from_utf8(std::fs::read(said.path()).unwrap()).unwrap();
    // Neither a signal (a stack that overflows, memory that ends) nor a panic.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}: {said}");
    // The most that any child took which has ended: of all tests of this file.
    let taken = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(taken < MEMORY, "{}: {taken} KiB", file.display());
    (status.success(), said)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn refused(file: &Path, because: &str) {
    let (valid, said) = validate(file, Stdio::null());
    let start: String = said.chars().take(2000).collect();
    assert!(!valid && said.contains(because), "{because:?} is not in: {start}");
}

fn rule(name: &str, condition: &str) -> String {
    format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o %proc.name\n  priority: INFO\n")
}

const CONDITION: &str = "evt.type = openat and fd.name startswith /etc";

#[test]
fn what_is_no_file_is_named() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.yaml");
    nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    refused(&pipe, "a named pipe");
    let socket = folder.path("socket.yaml");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    refused(&socket, "a socket");
    refused(Path::new("/dev/zero"), "a device");
    refused(&folder.path("missing.yaml"), "No such file");
    std::fs::create_dir(folder.path("empty")).unwrap();
    refused(&folder.path("empty"), "no .yaml or .yml file");
}

#[test]
fn standard_input_is_a_file_too() {
    let folder = Folder::new();
    let rules = folder.write("rules.yaml", rule("R", CONDITION));
    let (valid, said) = validate(Path::new("/dev/stdin"), File::open(rules).unwrap().into());
    assert!(valid, "{said}");
    let mut cat = Command::new("cat")
        .arg("/dev/zero")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (valid, said) = validate(Path::new("/dev/fd/0"), cat.stdout.take().unwrap().into());
    assert!(!valid && said.contains("longer than 16 MiB"), "{said}");
    cat.wait().unwrap();
}

#[test]
fn encodings_that_are_none() {
    let folder = Folder::new();
    let text = rule("R", CONDITION);
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    let marked = [b"\xff\xfe".to_vec(), wide(u16::to_le_bytes)].concat();
    refused(&folder.write("le.yaml", marked), "le.yaml:1:1: ");
    let marked = [b"\xfe\xff".to_vec(), wide(u16::to_be_bytes)].concat();
    refused(&folder.write("be.yaml", marked), "UTF-16");
    refused(
        &folder.write("unmarked.yaml", wide(u16::to_le_bytes)),
        "not UTF-16?",
    );
    let latin = [text.as_bytes(), b"# na\xefve\n"].concat();
    refused(&folder.write("latin.yaml", latin), "latin.yaml:6:5: ");
    refused(
        &folder.write(
            "binary.yaml",
            &std::fs::read("/proc/self/exe").unwrap()[..100_000],
        ),
        "binary.yaml:",
    );
    let (valid, said) = validate(
        &folder.write("bom.yaml", format!("\u{feff}{text}")),
        Stdio::null(),
    );
    assert!(valid, "{said}");
}

#[test]
fn large_files_load() {
    let folder = Folder::new();
    let rules: String = (0..5000)
        .map(|index| {
            rule(
                &format!("R{index}"),
                &format!("{CONDITION} and proc.name = p{index}"),
            )
        })
        .collect();
    let (valid, said) = validate(&folder.write("rules.yaml", &rules), Stdio::null());
    assert!(valid, "{said}");
    let mut large = rules;
    while large.len() < 10 << 20 {
        large += "# A rules file of ten megabytes is mostly comments, or should be.\n";
    }
    let (valid, said) = validate(&folder.write("large.yaml", &large), Stdio::null());
    assert!(valid, "{said}");
    large += &large.clone();
    refused(&folder.write("larger.yaml", large), "longer than 16 MiB");
    let line = format!(
        "{CONDITION} and proc.name in ({}x)",
        "abcdefghijklmnopqrstuvwxyz, ".repeat(100_000)
    );
    let (valid, said) = validate(&folder.write("line.yaml", rule("R", &line)), Stdio::null());
    assert!(valid, "{said}");
}

#[test]
fn bombs_do_not_go_off() {
    let folder = Folder::new();
    let mut aliases = "- &b0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut macros = "- macro: b0\n  condition: proc.name = x\n".to_owned();
    let mut lists = "- list: b0\n  items: [x, y]\n".to_owned();
    for index in 1..40 {
        let before = index - 1;
        aliases += &format!("- &b{index} [{}]\n", vec![format!("*b{before}"); 10].join(", "));
        macros += &format!("- macro: b{index}\n  condition: b{before} or b{before}\n");
        lists += &format!("- list: b{index}\n  items: [b{before}, b{before}]\n");
    }
    refused(
        &folder.write("aliases.yaml", aliases),
        "what its aliases stand for",
    );
    macros += &rule("R", "evt.type = openat and b39");
    refused(&folder.write("macros.yaml", macros), "more than 200000 checks");
    lists += &rule("R", "evt.type = openat and proc.name in (b39)");
    refused(&folder.write("lists.yaml", lists), "more than 100000 items");
    let deep = rule(
        "R",
        &format!("{}evt.type = openat{}", "(".repeat(1001), ")".repeat(1001)),
    );
    refused(&folder.write("deep.yaml", deep), "max depth limit of 1000");
    refused(
        &folder.write("brackets.yaml", "[".repeat(10 << 20)),
        "more than 24 deep",
    );
    refused(&folder.write("nuls.yaml", vec![0; 10 << 20]), "NUL characters");
}

#[test]
fn thousands_of_mistakes_are_counted() {
    let folder = Folder::new();
    let wrong = "- x: y\n".repeat(200_000);
    let (valid, said) = validate(&folder.write("items.yaml", wrong), Stdio::null());
    assert!(
        valid && said.contains("and 199000 more warnings"),
        "{}",
        said.len()
    );
    let condition = format!(
        "evt.type = openat and ({}fd.num = 1)",
        "proc.nam = x or ".repeat(100_000)
    );
    refused(
        &folder.write("checks.yaml", rule("R", &condition)),
        "nonexistent field 'proc.nam'",
    );
}
