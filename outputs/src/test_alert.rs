//! An alert for the tests.

use std::sync::Arc;

use lanner_schema::alert::{Alert, FieldValue, Priority};

pub(crate) fn alert(line: &str) -> Alert {
    Alert {
        time: 1_700_000_000_123_456_789,
        priority: Priority::Warning,
        rule: "Read sensitive file".into(),
        source: "syscall".into(),
        tags: Arc::from(["host".to_string(), "mitre_credential_access".to_string()]),
        message: format!("message of {line}"),
        fields: vec![
            ("fd.name".into(), FieldValue::Text("/etc/shadow".into())),
            ("proc.pid".into(), FieldValue::I64(42)),
            ("user.name".into(), FieldValue::Missing),
        ],
        line: line.into(),
    }
}
