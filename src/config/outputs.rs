//! Outputs that several keys decide together.

use lanner_outputs::{HttpConfig, ProgramConfig, TlsFiles};

use super::keys::{HttpOutput, ProgramOutput, Settings};
use super::message::Messages;

/// Puts together what the keys say.
pub(super) fn finish(settings: &Settings, messages: &mut Messages) -> lanner_outputs::Config {
    let mut outputs = settings.config.outputs.clone();
    outputs.json = settings.config.json_output;
    if settings.file_output.enabled {
        outputs.file = Some(lanner_outputs::FileConfig {
            filename: settings.file_output.filename.clone(),
            keep_alive: settings.file_output.keep_alive,
        });
    }
    outputs.program = program(&settings.program_output, messages);
    outputs.http = http(&settings.http_output, messages);
    outputs.otlp = settings.otlp_enabled.then(|| settings.otlp.clone());
    outputs.spool = settings.spool_enabled.then(|| settings.spool.clone());
    outputs
}

fn program(keys: &ProgramOutput, messages: &mut Messages) -> Option<ProgramConfig> {
    let at = keys.enabled.as_ref()?;
    if keys.program.is_empty() {
        messages.error(
            at,
            "program_output is enabled, and program_output.program names no program",
            "write for example \"program: logger -t lanner\"",
        );
        return None;
    }
    Some(ProgramConfig {
        program: keys.program.clone(),
        keep_alive: keys.keep_alive,
        timeout: keys.timeout.unwrap_or(ProgramConfig::DEFAULT_TIMEOUT),
    })
}

fn http(keys: &HttpOutput, messages: &mut Messages) -> Option<HttpConfig> {
    const EXAMPLE: &str = "write for example \"url: http://falcosidekick:2801/\"";
    let at = keys.enabled.as_ref()?;
    if keys.url.is_empty() {
        let text = "http_output is enabled, and http_output.url names no receiver";
        messages.error(keys.at.as_ref().unwrap_or(at), text, EXAMPLE);
        return None;
    }
    let mut http = match HttpConfig::new(&keys.url) {
        Ok(http) => http,
        Err(why) => {
            let text = format!("http_output.url is not the URL of a receiver: {why}");
            messages.error(keys.at.as_ref().unwrap_or(at), text, EXAMPLE);
            return None;
        }
    };
    // The first of them that is given, as in Falco.
    let trusted = [&keys.ca_cert, &keys.ca_bundle, &keys.ca_path];
    let client = || {
        let file =
            |key: &Option<std::path::PathBuf>, default: &str| key.clone().unwrap_or_else(|| default.into());
        (
            file(&keys.client_cert, "/etc/ssl/certs/client.crt"),
            file(&keys.client_key, "/etc/ssl/certs/client.key"),
        )
    };
    http.tls = TlsFiles {
        insecure: keys.insecure,
        trusted: match trusted.into_iter().flatten().next() {
            Some(path) => path.clone(),
            None => http.tls.trusted,
        },
        client: keys.mtls.then(client),
    };
    http.user_agent = keys.user_agent.clone().unwrap_or(http.user_agent);
    http.echo = keys.echo;
    http.compress = keys.compress;
    http.retries = keys.retries.unwrap_or(http.retries);
    Some(http)
}
