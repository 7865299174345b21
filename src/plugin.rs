//! `--list-plugins` and `--plugin-info`: Lanner loads no plugins; what one of Falco's gives is built in.

use std::fmt::Write as _;

use anyhow::bail;
use lanner_engine::{BUILT_IN_PLUGINS, Version};

/// `--list-plugins`: those that are built in, in Falco's text.
pub(crate) fn list() -> String {
    let mut out = format!("{} Plugins Loaded:\n\n", BUILT_IN_PLUGINS.len());
    for (name, version) in BUILT_IN_PLUGINS {
        out.push_str(&describe(name, version));
        out.push('\n');
    }
    out
}

/// `--plugin-info NAME`.
///
/// # Errors
/// When it is not built in.
pub(crate) fn info(name: &str) -> anyhow::Result<String> {
    let Some((name, version)) = BUILT_IN_PLUGINS.into_iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = BUILT_IN_PLUGINS.iter().map(|(known, _)| *known).collect();
        bail!(
            "there is no plugin \"{name}\": Lanner loads no plugins, only \"{}\" is built in",
            known.join("\", \"")
        );
    };
    let mut out = describe(name, version);
    out.push_str(
        "\nInit config schema type: Not available, plugin does not implement the init config schema functionality\n\n",
    );
    out.push_str(
        "No suggested open params available: nri and containerd of the configuration are its settings\n\n",
    );
    Ok(out)
}

fn describe(name: &str, version: Version) -> String {
    let mut out = String::new();
    for (label, text) in [
        ("Name", name),
        ("Description", "Container identity, built into Lanner"),
        ("Contact", "built in"),
    ] {
        let _ = writeln!(out, "{label}: {text}");
    }
    let _ = writeln!(out, "Version: {version}");
    // With a blank after the colon, as Falco prints it.
    out.push_str("Capabilities: \n  - Field Extraction\n  - Event Parsing\n  - Async Events\n");
    out
}
