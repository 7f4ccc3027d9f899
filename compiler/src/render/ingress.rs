//! The gateway's Ingress. Pure.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec, IngressTLS, ServiceBackendPort,
};
use kr8tiv_crds::ingress::GatewayIngress;
use kr8tiv_crds::meta;

use crate::render::object_names::gateway_name;
use crate::render::objects::metadata;
use crate::resolve::ResolvedTenant;

/// Everything of one host to the gateway's Service.
pub(super) fn ingress(tenant: &ResolvedTenant<'_>, wanted: &GatewayIngress) -> Ingress {
    let GatewayIngress { host, class_name, tls_secret_name, annotations } = wanted;
    let mut metadata = metadata(tenant, gateway_name(tenant.name), meta::GATEWAY);
    if !annotations.is_empty() {
        metadata.annotations = Some(annotations.clone());
    }
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: gateway_name(tenant.name),
            port: Some(ServiceBackendPort { name: Some("gateway".into()), number: None }),
        }),
        resource: None,
    };
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(host.clone()),
                http: Some(HTTPIngressRuleValue {
                    paths: vec![HTTPIngressPath {
                        path: Some("/".into()),
                        path_type: "Prefix".into(),
                        backend,
                    }],
                }),
            }]),
            tls: tls_secret_name.as_ref().map(|secret| {
                vec![IngressTLS { hosts: Some(vec![host.clone()]), secret_name: Some(secret.clone()) }]
            }),
            default_backend: None,
        }),
        ..Ingress::default()
    }
}
