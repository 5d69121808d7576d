//! Where traces go. There are no keys for it: the variables of OpenTelemetry (`OTEL_…`) say it, which the platforms
//! set. What cannot be read is ignored with a warning, as their specification has it, and nothing is followed.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::outbound::read_bounded;
use crate::config::diagnostic::{Diagnostic, Origin};
use crate::config::layers::Environment;
use crate::config::reader::Table;
use crate::config::tree::Value;
use crate::otlp::{Protocol, TraceSettings};
use crate::record::trace::Sampler;

/// What `http/protobuf` and gRPC append to `OTEL_EXPORTER_OTLP_ENDPOINT`.
const HTTP_PATH: &str = "v1/traces";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Where collectors speak gRPC, if nobody says which protocol it is.
const GRPC_PORT: u16 = 4317;
/// Presets of the specification, and how far they can be moved. Bound memory.
const TIMEOUT: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_secs(5);
const MAX_QUEUE: usize = 2048;
const MAX_BATCH: usize = 512;
const LARGEST_QUEUE: u64 = 65_536;
const LONGEST: u64 = 60_000;

/// A value and the variable it is from.
struct Said {
    value: String,
    name: String,
}

struct Variables<'a> {
    environment: &'a Environment,
    warnings: Vec<Diagnostic>,
}

pub(super) fn read(root: &mut Table<'_>, environment: &Environment) -> Option<TraceSettings> {
    let mut variables = Variables { environment, warnings: Vec::new() };
    let settings = settings(&mut variables);
    for warning in variables.warnings {
        root.push(warning);
    }
    settings
}

fn settings(variables: &mut Variables<'_>) -> Option<TraceSettings> {
    let off = |said: &Said, word: &str| said.value.eq_ignore_ascii_case(word);
    if variables.get("OTEL_SDK_DISABLED").is_some_and(|said| off(&said, "true"))
        || variables.get("OTEL_TRACES_EXPORTER").is_some_and(|said| off(&said, "none"))
    {
        return None;
    }
    let of_traces = variables.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let whole = of_traces.is_some();
    let endpoint = of_traces.or_else(|| variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"))?;
    let Some(mut url) = address(&endpoint.value) else {
        variables.ignore(
            &endpoint,
            "it is no http or https address without user information",
            "traces are not sent",
        );
        return None;
    };
    let protocol = protocol(variables, &url)?;
    match protocol {
        Protocol::Grpc => url.set_path(GRPC_PATH),
        Protocol::Http if !whole => {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{HTTP_PATH}"));
        }
        Protocol::Http => {}
    }
    let headers = headers(variables);
    let timeout = variables.milliseconds(&otlp("TIMEOUT"), TIMEOUT);
    let delay = variables.milliseconds(&["OTEL_BSP_SCHEDULE_DELAY".to_owned()], DELAY);
    let max_queue = variables.count("OTEL_BSP_MAX_QUEUE_SIZE", MAX_QUEUE);
    let max_batch = variables.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", MAX_BATCH).min(max_queue);
    let ca_pem = match variables.first(&otlp("CERTIFICATE")) {
        None => None,
        Some(said) => match read_bounded(&PathBuf::from(&said.value)) {
            Ok(pem) => Some(pem),
            Err(fault) => {
                variables.ignore(
                    &said,
                    &format!("it cannot be read: {fault}"),
                    "traces are not sent",
                );
                return None;
            }
        },
    };
    Some(TraceSettings {
        endpoint: url,
        protocol,
        headers,
        timeout,
        ca_pem,
        sampler: sampler(variables),
        resource: resource(variables),
        max_queue,
        max_batch,
        delay,
    })
}

/// The names of a setting of OTLP: that of traces before that of all signals.
fn otlp(name: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")]
}

fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    // A name and password are for a header: what is in an address is shown in logs.
    let plain = url.username().is_empty() && url.password().is_none();
    (["http", "https"].contains(&url.scheme()) && url.host().is_some() && plain).then_some(url)
}

fn protocol(variables: &mut Variables<'_>, url: &Url) -> Option<Protocol> {
    let Some(said) = variables.first(&otlp("PROTOCOL")) else {
        let is_grpc = url.port() == Some(GRPC_PORT);
        return Some(if is_grpc { Protocol::Grpc } else { Protocol::Http });
    };
    match said.value.as_str() {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::Http),
        _ => {
            variables.ignore(&said, "known are `grpc` and `http/protobuf`", "traces are not sent");
            None
        }
    }
}

fn headers(variables: &mut Variables<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(said) = variables.first(&otlp("HEADERS")) else { return headers };
    for (name, value) in pairs(&said.value) {
        let name = HeaderName::from_bytes(name.as_bytes());
        match (name, HeaderValue::from_str(&value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.append(name, value);
            }
            (Ok(_) | Err(_), _) => {
                variables.ignore(&said, "a part of it is no header", "that part is left out");
            }
        }
    }
    headers
}

fn sampler(variables: &mut Variables<'_>) -> Sampler {
    let argument = variables.get("OTEL_TRACES_SAMPLER_ARG");
    let Some(said) = variables.get("OTEL_TRACES_SAMPLER") else { return Sampler::DEFAULT };
    let argument = argument.as_ref().map(|said| said.value.as_str());
    Sampler::parse(&said.value, argument).unwrap_or_else(|fault| {
        variables.ignore(&said, &fault.to_string(), "parentbased_always_on counts");
        Sampler::DEFAULT
    })
}

/// `service.name` is `OTEL_SERVICE_NAME` before `OTEL_RESOURCE_ATTRIBUTES`, else our own.
fn resource(variables: &Variables<'_>) -> Vec<(String, String)> {
    const NAME: &str = "service.name";
    let mut resource: Vec<_> = variables
        .get("OTEL_RESOURCE_ATTRIBUTES")
        .map(|said| pairs(&said.value).collect())
        .unwrap_or_default();
    if let Some(said) = variables.get("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != NAME);
        resource.push((NAME.to_owned(), said.value));
    } else if !resource.iter().any(|(key, _)| key == NAME) {
        resource.push((NAME.to_owned(), env!("CARGO_PKG_NAME").to_owned()));
    }
    if !resource.iter().any(|(key, _)| key == "service.version") {
        resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    resource
}

/// `key=value,key=value`, percent-encoded, as in the header `baggage` of the W3C.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.into_owned()))
    })
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<Said> {
        let node = self.environment.platform(name)?;
        let Value::Scalar(scalar) = &node.value else { return None };
        Some(Said { value: scalar.text().to_owned(), name: name.to_owned() })
    }

    fn first(&self, names: &[String]) -> Option<Said> {
        names.iter().find_map(|name| self.get(name))
    }

    fn ignore(&mut self, said: &Said, why: &str, so: &str) {
        let message = format!("`{}` is ignored: {why}", said.name);
        let origin = Origin::Variable(said.name.as_str().into());
        let found = Diagnostic::warning("ignored-variable", message).at(&origin);
        self.warnings.push(found.help(so));
    }

    fn milliseconds(&mut self, names: &[String], preset: Duration) -> Duration {
        let Some(said) = self.first(names) else { return preset };
        match said.value.parse() {
            Ok(milliseconds) if (1..=LONGEST).contains(&milliseconds) => {
                Duration::from_millis(milliseconds)
            }
            Ok(_) | Err(_) => {
                let why = format!("it is no number of milliseconds from 1 to {LONGEST}");
                self.ignore(&said, &why, "the preset counts");
                preset
            }
        }
    }

    fn count(&mut self, name: &str, preset: usize) -> usize {
        let Some(said) = self.get(name) else { return preset };
        let count = said.value.parse().ok().filter(|count| (1..=LARGEST_QUEUE).contains(count));
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or_else(|| {
            let why = format!("it is no number from 1 to {LARGEST_QUEUE}");
            self.ignore(&said, &why, "the preset counts");
            preset
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<TraceSettings>, Vec<String>) {
        let environment: Environment = variables.iter().copied().collect();
        let mut variables = Variables { environment: &environment, warnings: Vec::new() };
        let settings = settings(&mut variables);
        (settings, variables.warnings.into_iter().map(|found| found.message).collect())
    }

    fn endpoint(variables: &[(&str, &str)]) -> (String, Protocol) {
        let (settings, warnings) = read(variables);
        assert_eq!(warnings, [""; 0], "{variables:?}");
        let settings = settings.unwrap();
        (settings.endpoint.into(), settings.protocol)
    }

    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

    #[test]
    fn the_address_follows_from_the_variables_as_the_specification_says() {
        let grpc = |base: &str| (format!("{base}{GRPC_PATH}"), Protocol::Grpc);
        let http = |whole: &str| (whole.to_owned(), Protocol::Http);
        for (variables, expected) in [
            (vec![(ALL, "http://c:4318")], http("http://c:4318/v1/traces")),
            (vec![(ALL, "https://c/otel/")], http("https://c/otel/v1/traces")),
            (vec![(TRACES, "http://c:4318/own"), (ALL, "http://d")], http("http://c:4318/own")),
            (vec![(TRACES, "http://c:4318/")], http("http://c:4318/")),
            (vec![(ALL, "http://c:4317")], grpc("http://c:4317")),
            (vec![(ALL, "http://c:9"), (PROTOCOL, "grpc")], grpc("http://c:9")),
            (
                vec![(ALL, "http://c:4317"), (PROTOCOL, "http/protobuf")],
                http("http://c:4317/v1/traces"),
            ),
            (
                vec![
                    (ALL, "http://c:9"),
                    (PROTOCOL, "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
                ],
                http("http://c:9/v1/traces"),
            ),
        ] {
            assert_eq!(endpoint(&variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn without_an_address_or_where_it_is_switched_off_there_are_no_traces() {
        for variables in [
            vec![("OTEL_SERVICE_NAME", "a")],
            vec![(ALL, "http://c"), ("OTEL_SDK_DISABLED", "TRUE")],
            vec![(ALL, "http://c"), ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(&variables), (None, vec![]), "{variables:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_ignored_and_told() {
        for (variable, traces) in [
            ((ALL, "collector:4317"), false),
            ((ALL, "http://user:pass@c:4318"), false),
            ((PROTOCOL, "http/json"), false),
            (("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"), false),
            (("OTEL_EXPORTER_OTLP_HEADERS", "a b=c,d=e"), true),
            (("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"), true),
            (("OTEL_BSP_MAX_QUEUE_SIZE", "0"), true),
            (("OTEL_BSP_SCHEDULE_DELAY", "-1"), true),
            (("OTEL_TRACES_SAMPLER", "sometimes"), true),
        ] {
            let variables = [(ALL, "http://c:4318"), variable];
            let (settings, warnings) = read(&variables);
            assert_eq!((settings.is_some(), warnings.len()), (traces, 1), "{variable:?}");
            assert!(
                warnings[0].starts_with(&format!("`{}` is ignored", variable.0)),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn who_we_are_and_what_we_say_beside_is_read_as_pairs() {
        let (settings, _) = read(&[
            (ALL, "http://c"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=a, team=en%20to ,empty,=x,service.version=2",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20eDp5,x-a=1"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9000"),
        ]);
        let settings = settings.unwrap();
        let resource: Vec<_> =
            settings.resource.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(resource, ["service.name=a", "team=en to", "service.version=2"]);
        let said = |name: &str| settings.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!((said("authorization"), said("x-a")), (Some("Basic eDp5"), Some("1")));
        assert!(!format!("{settings:?}").contains("eDp5"));
        assert_eq!(settings.max_batch, MAX_QUEUE, "not more than may wait");
        let named = read(&[
            (ALL, "http://c"),
            ("OTEL_SERVICE_NAME", "b"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a"),
        ]);
        assert_eq!(named.0.unwrap().resource[0], ("service.name".to_owned(), "b".to_owned()));
    }
}
