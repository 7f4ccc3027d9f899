//! Counts the requests to the API server, between the client and the network. No I/O of its own.

use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use tower::{Layer, Service};

use crate::metrics::{Metrics, RequestKind};

/// Puts a counter in front of a service.
#[derive(Clone, Debug)]
pub struct Counting(pub Metrics);

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let content_type = request.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind_of(request.method(), request.uri().path(), request.uri().query(), content_type);
        let metrics = self.metrics.clone();
        self.inner
            .call(request)
            .map(move |answer| {
                metrics.request(kind, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
                answer
            })
            .boxed()
    }
}

/// Verb and resource of a request, as the API server's own metrics have them.
fn kind_of(method: &Method, path: &str, query: Option<&str>, content_type: &str) -> RequestKind {
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let is_object = match parts.next() {
        Some("api") => parts.next().is_some(),
        Some("apis") => parts.next().is_some() && parts.next().is_some(),
        _ => false,
    };
    if !is_object {
        // Discovery, health and versions.
        return RequestKind { verb: "get", resource: "none".into() };
    }
    let mut rest: Vec<&str> = parts.collect();
    // `namespaces/NAME` is the namespace itself, and with more behind it the place of something else.
    if rest.first() == Some(&"namespaces") && rest.len() > 2 {
        rest.drain(..2);
    }
    let resource = match rest.as_slice() {
        [] => "none".to_owned(),
        [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        [resource, ..] => (*resource).to_owned(),
    };
    let has_name = rest.len() > 1;
    let watches = query.is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    let verb = match *method {
        Method::GET if watches => "watch",
        Method::GET if has_name => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if content_type.contains("apply-patch") => "apply",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    RequestKind { verb, resource }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_without_names() {
        let apply = "application/apply-patch+yaml";
        let cases = [
            (Method::GET, "/apis/kr8tiv.ai/v1alpha1/tenants", "watch=true&x=y", "", "watch tenants"),
            (Method::GET, "/apis/kr8tiv.ai/v1alpha1/tenants", "limit=500", "", "list tenants"),
            (Method::GET, "/api/v1/namespaces/a/secrets/b", "", "", "get secrets"),
            (Method::GET, "/api/v1/namespaces", "", "", "list namespaces"),
            (Method::GET, "/api/v1/namespaces/a", "", "", "get namespaces"),
            (Method::PATCH, "/api/v1/namespaces/a/configmaps/b", "", apply, "apply configmaps"),
            (
                Method::PATCH,
                "/apis/kr8tiv.ai/v1alpha1/namespaces/a/tenants/b/status",
                "",
                "application/merge-patch+json",
                "patch tenants/status",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/a/events", "", "", "create events"),
            (Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "", "", "update leases"),
            (Method::DELETE, "/api/v1/namespaces/a/pods/b", "", "", "delete pods"),
            (Method::GET, "/version", "", "", "get none"),
            (Method::GET, "/apis/kr8tiv.ai/v1alpha1", "", "", "list none"),
        ];
        for (method, path, query, content_type, expected) in cases {
            let RequestKind { verb, resource } = kind_of(&method, path, Some(query), content_type);
            assert_eq!(format!("{verb} {resource}"), expected, "{method} {path}?{query}");
        }
    }
}
