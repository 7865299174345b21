//! `otlp_output`: alerts as OpenTelemetry log records, over gRPC
//! (<https://opentelemetry.io/docs/specs/otlp/>). Built with the feature `otlp`.

use std::fs;
use std::time::Duration;

use lanner_schema::alert::{Alert, FieldValue, Priority};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::choose::OtlpConfig;
use crate::output::OutputError;
use crate::sending::{Again, SendError, Transport};
use crate::spool::Key;

const EXPORT: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.logs.v1.LogsService/Export");

/// What of OTLP's messages is used; the tags are those of its .proto files.
mod message {
    use prost::{Message, Oneof};

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ExportRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) resource_logs: Vec<ResourceLogs>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ExportResponse {
        #[prost(message, optional, tag = "1")]
        pub(crate) partial_success: Option<PartialSuccess>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct PartialSuccess {
        #[prost(int64, tag = "1")]
        pub(crate) rejected: i64,
        #[prost(string, tag = "2")]
        pub(crate) error: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ResourceLogs {
        #[prost(message, optional, tag = "1")]
        pub(crate) resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) scope_logs: Vec<ScopeLogs>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub(crate) attributes: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct ScopeLogs {
        #[prost(message, optional, tag = "1")]
        pub(crate) scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) records: Vec<Record>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Scope {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) version: String,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Record {
        #[prost(fixed64, tag = "1")]
        pub(crate) time: u64,
        #[prost(int32, tag = "2")]
        pub(crate) severity: i32,
        #[prost(string, tag = "3")]
        pub(crate) severity_text: String,
        #[prost(message, optional, tag = "5")]
        pub(crate) body: Option<Any>,
        #[prost(message, repeated, tag = "6")]
        pub(crate) attributes: Vec<Attribute>,
        #[prost(fixed64, tag = "11")]
        pub(crate) observed_time: u64,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Attribute {
        #[prost(string, tag = "1")]
        pub(crate) key: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) value: Option<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct Any {
        #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5")]
        pub(crate) value: Option<Value>,
    }

    #[derive(Clone, PartialEq, Oneof)]
    pub(crate) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(bool, tag = "2")]
        Bool(bool),
        #[prost(int64, tag = "3")]
        Integer(i64),
        #[prost(double, tag = "4")]
        Number(f64),
        #[prost(message, tag = "5")]
        List(List),
    }

    #[derive(Clone, PartialEq, Message)]
    pub(crate) struct List {
        #[prost(message, repeated, tag = "1")]
        pub(crate) values: Vec<Any>,
    }
}

use message::{Any, Attribute, ExportRequest, ExportResponse, Record, Value};

/// A collector.
#[derive(Debug)]
pub(crate) struct Otlp {
    config: OtlpConfig,
    timeout: Duration,
    runtime: Option<Runtime>,
    channel: Option<Channel>,
}

impl Otlp {
    pub(crate) fn new(config: &OtlpConfig, timeout: Duration) -> Self {
        Otlp {
            config: config.clone(),
            timeout,
            runtime: None,
            channel: None,
        }
    }

    fn setting(&self, cause: impl std::fmt::Display) -> OutputError {
        OutputError::Setting {
            what: self.config.endpoint.clone(),
            cause: cause.to_string(),
        }
    }

    fn connect(&self) -> Result<Channel, OutputError> {
        let mut endpoint = Endpoint::from_shared(self.config.endpoint.clone())
            .map_err(|error| self.setting(error))?
            .timeout(self.timeout)
            .connect_timeout(self.timeout);
        if self.config.endpoint.starts_with("https://") {
            let path = &self.config.ca_cert;
            let pem = fs::read(path).map_err(|cause| OutputError::Open {
                path: path.clone(),
                cause,
            })?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint = endpoint.tls_config(tls).map_err(|error| self.setting(error))?;
        }
        Ok(endpoint.connect_lazy())
    }

    fn failed(&self, status: &Status) -> SendError {
        let cause = std::io::Error::other(format!("{:?}: {}", status.code(), status.message()));
        let target = self.config.endpoint.clone();
        // As OTLP's specification says.
        let (error, again) = match status.code() {
            Code::Cancelled | Code::DeadlineExceeded => {
                let limit = self.timeout;
                (OutputError::Timeout { target, limit }, Again::Later)
            }
            Code::Unavailable => (OutputError::Closed { target, cause }, Again::Later),
            Code::Aborted | Code::OutOfRange | Code::DataLoss | Code::ResourceExhausted | Code::Unknown => {
                (OutputError::Write { target, cause }, Again::Later)
            }
            code => {
                let status = code as u16;
                (OutputError::Refused { target, status }, Again::Never)
            }
        };
        SendError { error, again }
    }
}

impl Transport for Otlp {
    fn encode(&mut self, alert: &Alert) -> Vec<u8> {
        request(alert).encode_to_vec()
    }

    fn send(&mut self, body: &[u8], _: Option<Key>) -> Result<(), SendError> {
        let later = |error| SendError {
            error,
            again: Again::Later,
        };
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| later(self.setting(error)))?,
        };
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => {
                let _inside = runtime.enter();
                self.connect().map_err(later)?
            }
        };
        let message = ExportRequest::decode(body).map_err(|error| SendError {
            error: self.setting(error),
            again: Again::Never,
        })?;
        let mut grpc = Grpc::new(channel.clone());
        let sent = runtime.block_on(async {
            let export = async {
                grpc.ready()
                    .await
                    .map_err(|error| Status::unavailable(error.to_string()))?;
                let codec: ProstCodec<ExportRequest, ExportResponse> = ProstCodec::default();
                grpc.unary(Request::new(message), EXPORT, codec).await
            };
            tokio::time::timeout(self.timeout, export)
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))
        });
        self.runtime = Some(runtime);
        match sent {
            Ok(response) => {
                self.channel = Some(channel);
                match response.into_inner().partial_success {
                    Some(partial) if partial.rejected > 0 => Err(SendError {
                        error: self.setting(format!("the collector does not take it: {}", partial.error)),
                        again: Again::Never,
                    }),
                    _ => Ok(()),
                }
            }
            Err(status) => Err(self.failed(&status)),
        }
    }

    fn reopen(&mut self) {
        self.channel = None;
    }
}

fn text(text: impl Into<String>) -> Any {
    Any {
        value: Some(Value::Text(text.into())),
    }
}

fn attribute(key: &str, value: Any) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: Some(value),
    }
}

fn any(value: &FieldValue) -> Any {
    let value = match value {
        FieldValue::Missing => None,
        FieldValue::Bool(value) => Some(Value::Bool(*value)),
        FieldValue::I64(value) => Some(Value::Integer(*value)),
        FieldValue::U64(value) => Some(match i64::try_from(*value) {
            Ok(value) => Value::Integer(value),
            Err(_) => Value::Text(value.to_string()),
        }),
        FieldValue::F64(value) => Some(Value::Number(*value)),
        FieldValue::Text(text) => Some(Value::Text(text.clone())),
        FieldValue::List(items) => Some(Value::List(message::List {
            values: items.iter().map(any).collect(),
        })),
    };
    Any { value }
}

/// OpenTelemetry's numbers of severity, as its mapping of syslog has them.
fn severity(priority: Priority) -> i32 {
    match priority {
        Priority::Emergency => 21,
        Priority::Alert => 19,
        Priority::Critical => 18,
        Priority::Error => 17,
        Priority::Warning => 13,
        Priority::Notice => 10,
        Priority::Informational => 9,
        Priority::Debug => 5,
    }
}

/// An alert: its message is the body; rule, source, tags and the fields that have a value are attributes.
fn request(alert: &Alert) -> ExportRequest {
    let tags = FieldValue::List(alert.tags.iter().cloned().map(FieldValue::Text).collect());
    let mut attributes = vec![
        attribute("rule", text(&*alert.rule)),
        attribute("source", text(&*alert.source)),
        attribute("tags", any(&tags)),
    ];
    let with_value = alert
        .fields
        .iter()
        .filter(|(_, value)| *value != FieldValue::Missing);
    attributes.extend(with_value.map(|(name, value)| attribute(name, any(value))));
    ExportRequest {
        resource_logs: vec![message::ResourceLogs {
            resource: Some(message::Resource {
                attributes: vec![attribute("service.name", text("lanner"))],
            }),
            scope_logs: vec![message::ScopeLogs {
                scope: Some(message::Scope {
                    name: "lanner".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                }),
                records: vec![Record {
                    time: alert.time,
                    severity: severity(alert.priority),
                    severity_text: alert.priority.word().into(),
                    body: Some(text(&*alert.message)),
                    attributes,
                    observed_time: alert.time,
                }],
            }],
        }],
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
