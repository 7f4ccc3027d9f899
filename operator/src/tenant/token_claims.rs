//! Plan stage: which of a tenant's tokens are somebody else's. Reads Secrets through [`crate::secrets`].

use std::collections::BTreeMap;

use kr8tiv_compiler::{SecretReference, TokenHolder};
use kr8tiv_crds::reference::SecretKeyReference;

use crate::backoff::Pace;
use crate::claims::Claim;
use crate::context::Context;
use crate::secrets::Error;
use crate::tenant::observe::Observed;
use crate::tenant::stop::{Retry, pace_of};

/// Tokens that somebody else's channel had before, as the compiler is told of them.
pub type Taken = BTreeMap<SecretKeyReference, TokenHolder>;

/// What is known of a tenant's tokens before it is compiled.
#[derive(Debug)]
pub enum Claimed {
    /// An earlier Tenant's tokens have not been read since the start; its pass wakes this one.
    Waiting,
    /// They have been read, as far as they exist.
    Read(Taken),
    /// They could not be read: nothing can be applied, and they are tried again although nothing changes.
    Unread(Taken, Error),
}

impl Claimed {
    /// When a pass is tried again that ended for another reason.
    pub fn retry(&self, planned: Retry) -> Retry {
        match (self, planned) {
            (Self::Unread(..), Retry::OnChange) => Retry::Paced(Pace::Missing),
            _ => planned,
        }
    }
}

/// Reads the tenant's tokens when they are not known, and claims them.
pub async fn claim(
    context: &Context,
    observed: &Observed<'_>,
    tokens: &[SecretReference],
    in_doubt: bool,
) -> Claimed {
    let own = &context.stores.tokens;
    // Whoever lacks a token looks for another one under the same name.
    let in_doubt = in_doubt || !own.taken(&observed.key).is_empty();
    let read = context.secrets.read_tokens(&observed.key, observed.uid, tokens, in_doubt).await;
    let unread = read.err().filter(|error| !is_refused(error));
    let taken = if unread.is_some() { own.taken(&observed.key) } else { compare(context, observed, tokens) };
    // A Tenant without tokens takes none away.
    if !tokens.is_empty() && own.must_wait(&observed.key, &Claim::of(&observed.tenant.metadata)) {
        return Claimed::Waiting;
    }
    unread.map_or_else(|| Claimed::Read(taken.clone()), |error| Claimed::Unread(taken.clone(), error))
}

/// What is refused stays so: nobody may be kept waiting for it.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Api { source, .. } if pace_of(source) == Pace::Refused)
}

/// Claims the tokens as they were read last, and gives those that are somebody else's.
pub fn compare(context: &Context, observed: &Observed<'_>, tokens: &[SecretReference]) -> Taken {
    let held = context.secrets.held(&observed.key, tokens);
    let claim = Claim::of(&observed.tenant.metadata);
    for other in context.stores.tokens.hold(&observed.key, &claim, held) {
        context.queues.wake_tenant(other);
    }
    context.stores.tokens.taken(&observed.key)
}
