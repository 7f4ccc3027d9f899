//! Secrets are planted wherever a Tenant can name one that a gateway reads, and where none belongs; everything is walked that
//! works and that fails, and then every place is looked through where a value could have come out. Runs alone: it stops and
//! kills the operator.

mod paths;
mod places;
mod plants;
mod programs;

use kr8tiv_e2e::Outcome;
use kr8tiv_e2e::scope::Scope;

use crate::context::Context;
use plants::Plants;

/// The namespace of which the API server's log keeps what programs write.
const NAMESPACE: &str = "canaries";

/// What the walk goes through, and what it has heard on its way.
pub struct Walk<'a> {
    pub context: &'a Context,
    /// The namespace with the tenants.
    pub scope: Scope,
    /// A namespace in which the bot's token is planted a second time.
    pub other: Scope,
    pub plants: Plants,
    /// Texts that programs have said: where, and what.
    pub heard: Vec<(String, String)>,
    /// The paths that were walked.
    pub walked: Vec<&'static str>,
}

impl Walk<'_> {
    /// Takes note of a path.
    pub fn walked(&mut self, path: &'static str) {
        println!("canaries: walked: {path}");
        self.walked.push(path);
    }

    /// Takes note of what a program has said.
    pub fn heard(&mut self, from: &str, text: impl Into<String>) {
        self.heard.push((from.to_owned(), text.into()));
    }
}

pub async fn nowhere(context: &Context) -> Outcome {
    Plants::are_everywhere()?;
    let scope = Scope::named(&context.cluster, NAMESPACE).await?;
    let other = context.scope("canaries-other").await?;
    let plants = Plants::new()?;
    plants.plant(&scope, &other).await?;
    let mut walk = Walk { context, scope, other, plants, heard: Vec::new(), walked: Vec::new() };
    places::proof(&walk).await?;
    paths::all(&mut walk).await?;
    places::searched(&walk).await?;
    kr8tiv_e2e::figure("canaries.planted", walk.plants.all.len(), "values");
    kr8tiv_e2e::figure("canaries.paths", walk.walked.len(), "paths");
    walk.other.discard().await?;
    walk.scope.discard().await
}
