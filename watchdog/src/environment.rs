//! Input stage: the secrets of the watchdog's environment. Reads the environment, once for each name.

use std::env;

use crate::secret::{Redactor, Secret};
use crate::settings::{Address, Settings, WebhookSettings};
use crate::webhook::post::Target;

/// The gateway's token.
pub const GATEWAY_TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";
/// What whoever asks for `/status` must know.
pub const STATUS_TOKEN: &str = "KR8TIV_STATUS_TOKEN";

/// The value of a variable; an empty one is none.
pub fn secret(name: &str) -> Option<Secret> {
    env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
}

/// Where the messages of a webhook go; the error names the variable that is missing.
pub fn target(webhook: &WebhookSettings) -> Result<Target, String> {
    let required = |name: &String| secret(name).ok_or_else(|| format!("the variable {name} is not set"));
    let url = match &webhook.address {
        Address::Url(url) => url.clone(),
        Address::Variable(name) => required(name)?,
    };
    // A message that should be signed and is not would be taken for a forged one.
    let signing_key = webhook.signing_key_variable.as_ref().map(required).transpose()?;
    Ok(Target { url, signing_key })
}

/// Takes every secret that the watchdog knows out of texts.
pub fn redactor(settings: &Settings) -> Redactor {
    let names = settings.webhooks.iter().flat_map(|webhook| {
        let url = match &webhook.address {
            Address::Variable(name) => Some(name),
            Address::Url(_) => None,
        };
        url.into_iter().chain(&webhook.signing_key_variable)
    });
    let urls = settings.webhooks.iter().filter_map(|webhook| match &webhook.address {
        Address::Url(url) => Some(url.clone()),
        Address::Variable(_) => None,
    });
    let values = names.map(String::as_str).chain([GATEWAY_TOKEN, STATUS_TOKEN]).filter_map(secret);
    Redactor::new(values.chain(urls))
}
