//! Spans by the crates of OpenTelemetry, sent as OTLP over HTTP.

use crate::harness::{Act, Call};
use crate::server::{Ask, Reply, ServerError};
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use sbx_records::{ExitStatus, Rollout};
use sbx_runtime::{Observation, Outcome};

/// Name of what makes the spans.
const SCOPE: &str = "sbx";
/// The protocol that the servers speak; who hosts the model is not known here.
const PROVIDER: &str = "openai";
/// Variables of which one must be set: nothing is sent anywhere that nobody named.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// The way to a collector. Spans are sent in batches; what a collector does not take in time is dropped.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends spans where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) says, over HTTP; none are made when neither
    /// is set, or `OTEL_SDK_DISABLED` is `true`. Service and resource are `OTEL_SERVICE_NAME` (default: `sbx`) and
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    ///
    /// # Errors
    /// The variables are no way to a collector.
    pub fn from_environment() -> Result<Option<Traces>, String> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if is_disabled || !ENDPOINTS.iter().any(|name| set(name).is_some()) {
            return Ok(None);
        }
        crate::install_tls();
        let exporter = SpanExporter::builder().with_http().build().map_err(|e| e.to_string())?;
        // The resource's own detectors read the variables; a name given here would win over them.
        let mut resource = Resource::builder();
        if set("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SCOPE);
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.with_attribute(version).build())
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Some(Traces { provider }))
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// The collector did not take it.
    pub fn finish(self) -> Result<(), String> {
        self.provider.shutdown().map_err(|e| e.to_string())
    }
}

/// A rollout: `invoke_agent`.
pub(crate) struct RolloutSpan {
    context: Context,
}

/// A request of the model: `chat`.
pub(crate) struct Chat(global::BoxedSpan);

/// An action: `execute_tool`.
pub(crate) struct Tool(global::BoxedSpan);

fn builder(operation: &'static str, what: &str, kind: SpanKind, mut more: Vec<KeyValue>) -> SpanBuilder {
    more.push(KeyValue::new("gen_ai.operation.name", operation));
    SpanBuilder::from_name(format!("{operation} {what}")).with_kind(kind).with_attributes(more)
}

/// A count as OpenTelemetry has it.
fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl RolloutSpan {
    pub(crate) fn begin(record: &Rollout) -> RolloutSpan {
        let attributes = vec![
            KeyValue::new("gen_ai.provider.name", PROVIDER),
            KeyValue::new("gen_ai.agent.name", record.harness.clone()),
            KeyValue::new("gen_ai.request.model", record.model.clone()),
            KeyValue::new("gen_ai.conversation.id", conversation(record)),
            KeyValue::new("sbx.instance_id", record.instance_id.clone()),
            KeyValue::new("sbx.rollout", i64::from(record.rollout)),
            KeyValue::new("sbx.policy", record.policy.name.clone()),
        ];
        let span = global::tracer(SCOPE).build(builder(
            "invoke_agent",
            &record.harness,
            SpanKind::Internal,
            attributes,
        ));
        RolloutSpan { context: Context::new().with_span(span) }
    }

    fn child(&self, builder: SpanBuilder) -> global::BoxedSpan {
        global::tracer(SCOPE).build_with_context(builder, &self.context)
    }

    pub(crate) fn chat(&self, record: &Rollout, ask: Ask<'_>) -> Chat {
        let mut attributes = vec![
            KeyValue::new("gen_ai.provider.name", PROVIDER),
            KeyValue::new("gen_ai.request.model", record.model.clone()),
            KeyValue::new("gen_ai.conversation.id", conversation(record)),
            KeyValue::new("gen_ai.output.type", "text"),
            KeyValue::new("gen_ai.request.temperature", ask.temperature),
        ];
        attributes.extend(ask.max_tokens.map(|n| KeyValue::new("gen_ai.request.max_tokens", count(n))));
        attributes.extend(ask.seed.map(|n| KeyValue::new("gen_ai.request.seed", count(n))));
        Chat(self.child(builder("chat", &record.model, SpanKind::Client, attributes)))
    }

    pub(crate) fn tool(&self, call: &Call) -> Tool {
        let name = match &call.act {
            _ if !call.tool.is_empty() => call.tool.as_str(),
            Act::Submit(_) => "submit",
            _ => "bash",
        };
        let mut attributes = vec![
            KeyValue::new("gen_ai.tool.name", name.to_string()),
            KeyValue::new("gen_ai.tool.type", "function"),
        ];
        attributes.extend(call.id.clone().map(|id| KeyValue::new("gen_ai.tool.call.id", id)));
        Tool(self.child(builder("execute_tool", name, SpanKind::Internal, attributes)))
    }

    pub(crate) fn end(self, record: &Rollout) {
        let span = self.context.span();
        span.set_attributes([
            KeyValue::new("gen_ai.usage.input_tokens", count(record.prompt_tokens)),
            KeyValue::new("gen_ai.usage.output_tokens", count(record.completion_tokens)),
            KeyValue::new("gen_ai.usage.cache_read.input_tokens", count(record.cached_tokens)),
            KeyValue::new("sbx.exit_status", record.exit_status.to_string()),
            KeyValue::new("sbx.exit_status_detail", record.exit_status_detail.clone()),
            KeyValue::new("sbx.turns", count(record.n_turns)),
            KeyValue::new("sbx.blocked", count(record.observations.not_found + record.observations.denied)),
            KeyValue::new("sbx.patch_bytes", record.patch.len() as i64),
        ]);
        if record.exit_status == ExitStatus::Errored {
            span.set_attribute(KeyValue::new("error.type", "rollout_errored"));
            span.set_status(Status::error(record.exit_status_detail.clone()));
        }
        span.end();
    }
}

/// A word of few for an error, for dashboards.
fn kind(e: &ServerError) -> String {
    match e {
        ServerError::Setup(_) => "setup".into(),
        ServerError::Connection { .. } => "connection".into(),
        ServerError::Timeout { .. } | ServerError::Idle { .. } => "timeout".into(),
        ServerError::ContextOverflow { .. } => "context_overflow".into(),
        ServerError::NotFound { .. } => "404".into(),
        ServerError::Auth { status, .. }
        | ServerError::Busy { status, .. }
        | ServerError::Status { status, .. } => status.to_string(),
        ServerError::NotACompletion(_) | ServerError::EmptyChoices => "not_a_completion".into(),
        ServerError::NeverAnswered(e) => kind(e),
    }
}

fn conversation(record: &Rollout) -> String {
    format!("{}/{}", record.instance_id, record.rollout)
}

impl Chat {
    pub(crate) fn end(mut self, answer: &Result<Reply, ServerError>) {
        let span = &mut self.0;
        match answer {
            Ok(reply) => {
                let reasons = vec![StringValue::from(reply.finish_reason.clone())];
                span.set_attribute(KeyValue::new(
                    "gen_ai.response.finish_reasons",
                    Value::Array(Array::String(reasons)),
                ));
                if let Some(usage) = reply.usage {
                    span.set_attributes([
                        KeyValue::new("gen_ai.usage.input_tokens", count(usage.prompt_tokens)),
                        KeyValue::new("gen_ai.usage.output_tokens", count(usage.completion_tokens)),
                        KeyValue::new("gen_ai.usage.cache_read.input_tokens", count(usage.cached_tokens)),
                    ]);
                }
            }
            Err(e) => {
                span.set_attribute(KeyValue::new("error.type", kind(e)));
                span.set_status(Status::error(e.to_string()));
            }
        }
        span.end();
    }
}

impl Tool {
    /// Without an observation when the tool was an editor, or none at all.
    pub(crate) fn end(mut self, seen: Option<&Observation>) {
        let span = &mut self.0;
        if let Some(seen) = seen {
            span.set_attributes([
                KeyValue::new("sbx.exit_code", i64::from(seen.exit_code)),
                KeyValue::new("sbx.cpu_s", seen.cpu.as_secs_f64()),
            ]);
            if seen.outcome != Outcome::Exited {
                // A word for dashboards, such as `timed_out`.
                let outcome = serde_json::to_value(seen.outcome).unwrap_or_default();
                let outcome = outcome.as_str().unwrap_or("other").to_string();
                span.set_attribute(KeyValue::new("error.type", outcome.clone()));
                span.set_status(Status::error(outcome));
            }
        }
        span.end();
    }
}
