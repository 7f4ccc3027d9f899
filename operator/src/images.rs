//! Observation stage, pure: which images a gateway does without, because they can't be pulled.

use std::collections::BTreeSet;

use kr8tiv_crds::tenant::{TenantImages, UnavailableImage};

use crate::pod::{GatewayPod, InitOutcome};

/// Bytes of the annotation [`kr8tiv_crds::meta::RETRY_IMAGES`] that count: it is kept in the status.
const RETRY_LIMIT: usize = 64;

/// Of the images that a Pod may do without, those that it has been doing without, and those that keep it from starting
/// now. `retry` is the Tenant's annotation [`kr8tiv_crds::meta::RETRY_IMAGES`].
pub fn unavailable(
    previous: Option<&TenantImages>,
    retry: Option<&str>,
    optional: BTreeSet<String>,
    pod: Option<&GatewayPod>,
) -> Option<TenantImages> {
    let retry = retry.map(|value| &value[..value.floor_char_boundary(RETRY_LIMIT)]);
    let heeded = previous.and_then(|images| images.retry.as_deref());
    let again = retry.is_some() && retry != heeded;
    let before = previous.into_iter().flat_map(|images| &images.unavailable);
    let before: Vec<_> = before.filter(|_| !again).collect();
    let failing = |image: &str| {
        let stuck = pod.filter(|pod| !pod.deleting)?.init.iter().find(|init| init.image == image)?;
        match &stuck.outcome {
            InitOutcome::NoImage(problem) => Some(problem.clone()),
            InitOutcome::Said(_) => None,
        }
    };
    let unavailable = optional.into_iter().filter_map(|image| {
        // The first words stay: later ones say the same differently, and each would be a write.
        let known = before.iter().find(|known| known.image == image);
        let problem = known.map(|known| known.problem.clone()).or_else(|| failing(&image))?;
        Some(UnavailableImage { image, problem })
    });
    let images = TenantImages { retry: retry.map(str::to_owned), unavailable: unavailable.collect() };
    (images != TenantImages::default()).then_some(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::InitContainer;

    #[test]
    fn an_image_stays_out_until_it_changes_or_is_tried_again() {
        let optional = || BTreeSet::from(["r/p@1".to_owned(), "r/q@1".to_owned()]);
        let stuck = |problem: &str| {
            let outcome = InitOutcome::NoImage(problem.into());
            let init = InitContainer { name: "skills-p".into(), image: "r/p@1".into(), outcome };
            GatewayPod { init: vec![init], ..GatewayPod::default() }
        };
        let judge = |previous: Option<&TenantImages>, retry: Option<&str>, pod: Option<&GatewayPod>| {
            unavailable(previous, retry, optional(), pod)
        };
        let first = judge(None, None, Some(&stuck("not found"))).unwrap();
        let expected = UnavailableImage { image: "r/p@1".into(), problem: "not found".into() };
        assert_eq!(first.unavailable, [expected]);
        let later = judge(Some(&first), None, Some(&stuck("really not found")));
        assert_eq!(later.as_ref(), Some(&first), "kubelet's other words change nothing");
        assert_eq!(judge(Some(&first), None, None).as_ref(), Some(&first), "nor does a new Pod");
        let another = BTreeSet::from(["r/p@2".to_owned()]);
        assert_eq!(unavailable(Some(&first), None, another, None), None, "another digest");
        assert_eq!(unavailable(Some(&first), None, BTreeSet::new(), None), None, "none any more");

        let again = judge(Some(&first), Some("1"), None).unwrap();
        assert_eq!((again.retry.as_deref(), again.unavailable.len()), (Some("1"), 0));
        let failed = judge(Some(&again), Some("1"), Some(&stuck("not found"))).unwrap();
        assert_eq!(failed.unavailable.len(), 1);
        assert_eq!(judge(Some(&failed), Some("1"), None).as_ref(), Some(&failed), "tried once");
        assert_eq!(judge(Some(&failed), Some("2"), None).unwrap().unavailable.len(), 0);
    }

    #[test]
    fn an_image_that_the_pod_needs_stays_a_problem_of_the_pod() {
        let outcome = InitOutcome::NoImage("not found".into());
        let init = InitContainer { name: "seed".into(), image: "watchdog:1".into(), outcome };
        let pod = GatewayPod { init: vec![init], ..GatewayPod::default() };
        assert_eq!(unavailable(None, None, BTreeSet::from(["r/p@1".to_owned()]), Some(&pod)), None);
    }
}
