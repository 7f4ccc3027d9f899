//! Looks for planted values in everything that the API server serves, and in other texts. I/O: the API server.

use kube::Client;
use kube::discovery::{Discovery, verbs};
use serde_json::Value;

use crate::Outcome;
use crate::canary::Canary;

/// A place that was looked through.
#[derive(Debug)]
pub struct Place {
    /// What it is: a resource with its group and version, or a text.
    pub name: String,
    /// How much there was: objects, or bytes.
    pub amount: usize,
    /// Whether nothing at all may be there: a cluster need not have an object of each kind.
    pub may_be_empty: bool,
    /// What was found there, with the name of the object.
    pub found: Vec<String>,
}

/// Where a value was seen in an object.
pub struct Spot<'a> {
    /// The resource, such as `configmaps`.
    pub resource: &'a str,
    /// The object's namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether it is in the data of a Secret, and not in its metadata.
    pub is_data: bool,
    /// The value.
    pub canary: &'a Canary,
}

/// Looks through all objects of all resources that can be listed, but for the spots where a value may be.
pub async fn cluster(
    client: &Client,
    canaries: &[Canary],
    may_be: impl Fn(&Spot<'_>) -> bool,
) -> Outcome<Vec<Place>> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut places = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let version = &resource.api_version;
            let root = if version.contains('/') { "apis" } else { "api" };
            let path = format!("/{root}/{version}/{}", resource.plural);
            let request = hyper::Request::get(&path).body(Vec::new())?;
            // As text: no object may escape because it is of another form than expected.
            let text = client.request_text(request).await?;
            let name = format!("{} ({version})", resource.plural);
            let items = items(&text).map_err(|error| format!("{name}: {error}"))?;
            let mut place = Place { name, amount: items.len(), may_be_empty: true, found: Vec::new() };
            for mut item in items {
                let of = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
                let (namespace, object) = (of("namespace"), of("name"));
                let data = match resource.plural.as_str() {
                    "secrets" => item.as_object_mut().and_then(|item| item.remove("data")),
                    _ => None,
                };
                let (rest, data) = (item.to_string(), data.unwrap_or_default().to_string());
                for (text, is_data) in [(&rest, false), (&data, true)] {
                    for canary in canaries.iter().filter(|canary| canary.is_in(text)) {
                        let (resource, namespace, name) = (&resource.plural, &namespace, &object);
                        if !may_be(&Spot { resource, namespace, name, is_data, canary }) {
                            place.found.push(format!("{} in {namespace}/{name}", canary.what));
                        }
                    }
                }
            }
            places.push(place);
        }
    }
    Ok(places)
}

/// The objects of an answer. One without a list of them is no answer: it would count as looked through.
fn items(answer: &str) -> Outcome<Vec<Value>> {
    let mut list: Value = serde_json::from_str(answer)?;
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        other => Err(format!("the items of a list are {other:?}").into()),
    }
}

/// Looks through a text.
pub fn text(name: &str, text: &str, canaries: &[Canary]) -> Place {
    let found = canaries.iter().filter(|canary| canary.is_in(text));
    Place {
        name: name.to_owned(),
        amount: text.len(),
        may_be_empty: false,
        found: found.map(|canary| canary.what.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_items_is_none() {
        assert_eq!(items("{\"items\": []}").unwrap().len(), 0);
        assert_eq!(items("{\"items\": [{}, {}]}").unwrap().len(), 2);
        for answer in ["{\"kind\": \"Status\"}", "{\"items\": null}", "[]", "no JSON"] {
            assert!(items(answer).is_err(), "{answer}");
        }
    }
}
