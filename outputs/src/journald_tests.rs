//! The entry, and a real journal that takes it.

use super::*;
use crate::counters::LossReason;
use crate::test_alert::alert;
use test_log::test;

#[path = "../../tests/support/journald.rs"]
mod fixture;

fn text(alert: &Alert) -> String {
    String::from_utf8_lossy(&entry(alert)).into_owned()
}

#[test]
fn an_entry_has_the_alerts_parts_as_fields() {
    let expected = format!(
        "MESSAGE=message of x\nPRIORITY=4\nSYSLOG_IDENTIFIER=lanner\nMESSAGE_ID={MESSAGE_ID}\n\
         LANNER_RULE=Read sensitive file\nLANNER_SOURCE=syscall\nLANNER_TAGS=host,mitre_credential_access\n\
         LANNER_TIME=2023-11-14T22:13:20.123456789Z\nLANNER_FIELD_FD_NAME=/etc/shadow\nLANNER_FIELD_PROC_PID=42\n"
    );
    assert_eq!(text(&alert("x")), expected);
}

#[test]
fn a_value_with_line_breaks_carries_its_length() {
    let mut out = Vec::new();
    put(&mut out, "A", "one\nB=two");
    assert_eq!(out, b"A\n\x09\0\0\0\0\0\0\0one\nB=two\n");
}

#[test]
fn field_names_are_what_the_journal_takes() {
    assert_eq!(
        field_name("k8s.pod.label[app/x]"),
        "LANNER_FIELD_K8S_POD_LABEL_APP_X"
    );
    assert_eq!(field_name("proc.aname[2]"), "LANNER_FIELD_PROC_ANAME_2");
    assert_eq!(field_name("ünicode"), "LANNER_FIELD__NICODE");
    assert_eq!(field_name(&"x".repeat(200)).len(), NAME_LENGTH);
}

#[test]
fn fields_whose_names_collide_are_told_apart() {
    let mut used = HashSet::new();
    let long = format!("LANNER_FIELD_{}", "X".repeat(NAME_LENGTH - 13));
    assert_eq!(unused("A".into(), &mut used), "A");
    assert_eq!(unused("A".into(), &mut used), "A_2");
    assert_eq!(unused("A".into(), &mut used), "A_3");
    assert_eq!(unused(long.clone(), &mut used), long);
    let second = unused(long.clone(), &mut used);
    assert!(second.ends_with("X_2") && second.len() == NAME_LENGTH, "{second}");
}

#[test]
fn an_absent_journal_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::new(&dir.path().join("socket"));
    assert_eq!(
        journal.deliver(&alert("x")).unwrap_err().reason(),
        LossReason::Absent
    );
}

#[test]
fn a_real_journal_takes_alerts_of_any_size() {
    let journald = match fixture::Journald::start() {
        Ok(journald) => journald,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let mut journal = Journal::new(&journald.socket());
    let mut small = alert("small");
    small.message = "first line\nsecond line".into();
    journal.deliver(&small).unwrap();
    // Larger than any send buffer the kernel grants: it goes by memfd.
    let mut large = alert("large");
    large.rule = "Large".into();
    large.message = "x".repeat(12 << 20);
    journal.deliver(&large).unwrap();

    let got = journald.wait_for(1, &["-t", "lanner", "LANNER_RULE=Read sensitive file"]);
    let got: serde_json::Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["MESSAGE"], "first line\nsecond line");
    assert_eq!(got["PRIORITY"], "4");
    assert_eq!(got["MESSAGE_ID"], MESSAGE_ID);
    assert_eq!(got["LANNER_TAGS"], "host,mitre_credential_access");
    assert_eq!(got["LANNER_FIELD_FD_NAME"], "/etc/shadow");
    assert_eq!(got["LANNER_FIELD_PROC_PID"], "42");
    assert!(got.get("LANNER_FIELD_USER_NAME").is_none());
    assert_eq!(got["_TRANSPORT"], "journal");
    let got = journald.wait_for(1, &["-t", "lanner", "LANNER_RULE=Large"]);
    let got: serde_json::Value = serde_json::from_str(&got).unwrap();
    assert_eq!(got["MESSAGE"].as_str().unwrap().len(), 12 << 20);
}
