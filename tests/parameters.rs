//! Parameters and times of real events, as the program prints them.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = r#"
- macro: mine
  condition: evt.arg[1] endswith /lanner-parameters or evt.arg[2] endswith /lanner-parameters

- rule: Created
  desc: For this test
  condition: evt.type = openat and mine and evt.arg.flags contains O_TRUNC and evt.is_open_create = true
  output: "*%evt.args|%evt.arg.flags|%evt.rawarg.flags|%evt.rawarg.mode|%evt.rawarg.dirfd|%evt.res"
  priority: NOTICE

- rule: Failed
  desc: For this test
  condition: evt.type = openat and mine and evt.rawarg.flags = 4134 and evt.res = EEXIST
  output: "*%evt.args"
  priority: NOTICE

- rule: Changed
  desc: For this test
  condition: evt.type = chmod and mine and evt.arg.mode contains "S_IXUSR"
  output: "*%evt.args|%evt.rawarg.mode|%evt.num|%evt.reltime|%evt.deltatime|%evt.time.s"
  priority: NOTICE
"#;

#[test]
fn flags_modes_and_times_are_falcos() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);

    let path = folder.path().join("lanner-parameters");
    let name = path.display();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o640);
    let file = options.open(&path).unwrap();
    let again = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path);
    assert!(again.is_err());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    drop(file);

    let alert = |rule: &'static str| lanner.wait_for_alert(rule, move |alert| alert["rule"] == rule);
    let created = alert("Created");
    let names = "O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC|O_F_CREATED";
    let args = field(&created, "evt.args").to_owned();
    for part in [
        format!("(<f>{name}) dirfd=-100(AT_FDCWD) name={name} "),
        format!(" flags=20742({names}) mode=0640 dev="),
        " ino=".to_owned(),
    ] {
        assert!(args.contains(&part), "'{part}' in '{args}'");
    }
    assert_eq!(field(&created, "evt.arg.flags"), names, "{created}");
    assert_eq!(field(&created, "evt.rawarg.flags"), "5106", "{created}");
    assert_eq!(field(&created, "evt.rawarg.mode"), "640", "{created}");
    assert_eq!(created["output_fields"]["evt.rawarg.dirfd"], -100, "{created}");
    let shown = created["output"].as_str().unwrap();
    assert!(
        shown.ends_with(&format!("|{names}|5106|640|-100|SUCCESS")),
        "{shown}"
    );

    let failed = alert("Failed");
    let args = field(&failed, "evt.args");
    assert!(args.starts_with("fd=-17(EEXIST) "), "{args}");

    let changed = alert("Changed");
    let args = field(&changed, "evt.args");
    assert!(
        args.starts_with(&format!("res=0 filename={name} mode=04755(S_IXOTH|S_IROTH|")),
        "{args}"
    );
    assert_eq!(field(&changed, "evt.rawarg.mode"), "4755", "{changed}");
    let number = |name: &str| changed["output_fields"][name].as_u64().unwrap();
    assert!(number("evt.num") >= 3, "{changed}");
    // The opens were shown before it.
    assert!(number("evt.deltatime") > 0, "{changed}");
    assert!(number("evt.reltime") >= number("evt.deltatime"), "{changed}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
