//! A status lands on the object that the pass has seen, and on no other.

use kr8tiv_crds::{Tenant, TenantStatus};
use kr8tiv_operator::events::Events;
use kr8tiv_operator::metrics::Metrics;
use kr8tiv_operator::statuses::Statuses;
use serde_json::json;

use crate::fake::Fake;
use crate::world::{NAMESPACE, tenant};

fn stored(api: &Fake) -> Tenant {
    serde_json::from_value(api.get("Tenant", NAMESPACE, "acme").unwrap()).unwrap()
}

fn rename(api: &Fake, name: &str) {
    api.update("Tenant", NAMESPACE, "acme", |tenant| tenant["spec"]["displayName"] = json!(name));
}

#[tokio::test]
async fn a_status_for_what_has_changed_meanwhile_is_not_taken() {
    let api = Fake::new();
    let (events, _waiting) = Events::new(Metrics::default());
    let statuses = Statuses::new(api.client(), events);
    let status =
        |generation| TenantStatus { observed_generation: Some(generation), ..TenantStatus::default() };
    api.create(NAMESPACE, tenant("acme", "desk"));
    let seen = stored(&api);
    rename(&api, "another");
    assert!(!statuses.write(&seen, &status(1)).await.unwrap(), "a generation that nobody has looked at");
    api.delete("Tenant", NAMESPACE, "acme");
    api.create(NAMESPACE, tenant("acme", "desk"));
    assert!(!statuses.write(&seen, &status(1)).await.unwrap(), "another object of the same name");
    assert!(stored(&api).status.is_none());

    let seen = stored(&api);
    assert!(statuses.write(&seen, &status(1)).await.unwrap());
    assert!(!statuses.write(&seen, &status(1)).await.unwrap(), "it is there already");
    assert!(statuses.write(&seen, &status(2)).await.unwrap(), "its own writes are nobody else's");
    rename(&api, "a third");
    assert!(!statuses.write(&seen, &status(3)).await.unwrap(), "and others' are, after them too");
    assert_eq!(stored(&api).status.unwrap().observed_generation, Some(2));
}
