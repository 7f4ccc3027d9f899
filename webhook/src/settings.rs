//! Input stage, pure: the command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use k8s_openapi::jiff::SignedDuration;
use kr8tiv_compiler::installation::{namespace, registry};
use kr8tiv_compiler::{OperatorPods, Platform, PluginSource};

use crate::certificate::Policy;
use crate::keeper::{Place, Source};

/// Judges Harness, Tenant and Agent objects when they are applied.
#[derive(Clone, Debug, Parser)]
#[command(name = "kr8tiv-webhook", version)]
pub struct Settings {
    /// Namespace of the Secret with the certificate.
    #[arg(long, env = "KR8TIV_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: String,
    /// Name of that Secret.
    #[arg(long, env = "KR8TIV_CERTIFICATE_SECRET", value_name = "NAME")]
    pub certificate_secret: String,
    /// Name of the ValidatingWebhookConfiguration that gets the certificate's authority. Without it, somebody else puts
    /// tls.crt and tls.key into the Secret and publishes the authority.
    #[arg(long, env = "KR8TIV_CONFIGURATION", value_name = "NAME", requires = "server_names")]
    pub configuration: Option<String>,
    /// DNS names and addresses under which the API server reaches the webhook.
    #[arg(long, env = "KR8TIV_SERVER_NAMES", value_name = "NAME,…", value_delimiter = ',')]
    pub server_names: Vec<String>,
    /// How long a certificate is good for; it is replaced after two thirds of that.
    #[arg(
        long,
        env = "KR8TIV_CERTIFICATE_LIFETIME",
        default_value = "90d",
        value_name = "DURATION",
        value_parser = lifetime
    )]
    pub certificate_lifetime: Duration,
    /// The only namespace whose objects are judged, as the operator has it.
    #[arg(long, env = "KR8TIV_WATCH_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub watch_namespace: Option<String>,
    /// Mirror of the npm registry from which gateways install plugins, as the operator has it.
    #[arg(long, env = "KR8TIV_PLUGIN_REGISTRY", value_name = "URL", value_parser = registry)]
    pub plugin_registry: Option<String>,
    /// Where reviews are answered, over TLS.
    #[arg(long, env = "KR8TIV_LISTEN", default_value = "0.0.0.0:8443", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are answered.
    #[arg(long, env = "KR8TIV_PROBES", default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub probes: SocketAddr,
    /// What is logged: a level, or directives such as `info,kr8tiv_webhook=debug`.
    #[arg(long, env = "KR8TIV_LOG", default_value = "info", value_name = "DIRECTIVES")]
    pub log: String,
}

impl Settings {
    /// Where the certificate is.
    pub fn place(&self) -> Place {
        Place { namespace: self.namespace.clone(), name: self.certificate_secret.clone() }
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        match &self.configuration {
            None => Source::Given,
            Some(configuration) => Source::Own {
                policy: Policy {
                    names: self.server_names.clone(),
                    lifetime: SignedDuration::try_from(self.certificate_lifetime)
                        .unwrap_or(SignedDuration::MAX),
                },
                configuration: configuration.clone(),
            },
        }
    }

    /// What bears on a judgement of what the operator was installed with. The names of images are in no diagnostic.
    pub fn platform(&self) -> Platform {
        Platform {
            gateway_repository: "gateway".into(),
            watchdog_image: "watchdog".into(),
            sandbox_image: "sandbox".into(),
            plugins: match &self.plugin_registry {
                Some(url) => PluginSource::Mirror { url: url.clone() },
                None => PluginSource::Registry,
            },
            operator: OperatorPods::default(),
        }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(10)..=Duration::from_hours(24 * 825);
    if allowed.contains(&lifetime) { Ok(lifetime) } else { Err("must be from 10s to 825d".into()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, clap::Error> {
        let place = ["kr8tiv-webhook", "--namespace=n", "--certificate-secret=s"];
        Settings::try_parse_from([&place, arguments].concat())
    }

    #[test]
    fn certificates_are_given_or_made_for_names() {
        Settings::command().debug_assert();
        assert!(matches!(parse(&[]).unwrap().source(), Source::Given));
        assert!(parse(&["--configuration=c"]).is_err());
        let own = parse(&["--configuration=c", "--server-names=a.b.svc,127.0.0.1"]).unwrap().source();
        let Source::Own { policy, .. } = own else { panic!("made here") };
        assert_eq!(policy.names, ["a.b.svc", "127.0.0.1"]);
        assert_eq!(policy.lifetime, SignedDuration::from_hours(24 * 90));
    }

    #[test]
    fn a_mirror_has_no_credentials() {
        assert!(parse(&["--plugin-registry=https://npm.example.com/"]).is_ok());
        assert!(parse(&["--plugin-registry=https://user:word@npm.example.com/"]).is_err());
    }

    #[test]
    fn lifetimes_are_bounded() {
        for (text, is_good) in [("30s", true), ("825d", true), ("9s", false), ("3y", false), ("x", false)] {
            assert_eq!(lifetime(text).is_ok(), is_good, "{text}");
        }
    }
}
