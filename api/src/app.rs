//! The application: what every handler stands on.

use std::sync::Arc;

use axum::extract::FromRef;
use docket_engine::command::Caller;
use docket_engine::desk::{Desk, DeskError};
use docket_engine::keyring::{Keyring, Person};
use docket_sagas::Coordinator;
use docket_schemas::{Principal, Timestamp};

use crate::auth::Token;
use crate::cores::Cores;
use crate::gate::Gate;
use crate::live::Live;
use crate::search::Search;
use crate::views::Views;

/// A node's desk behind its gate. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Where writes and reads go.
    pub desk: Desk,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// What goes on in several steps.
    pub sagas: Coordinator,
    /// What is handed on as it happens.
    pub live: Arc<Live>,
    /// What lists and counts are answered from.
    pub views: Views,
    /// What searches are answered from.
    pub search: Search,
}

impl FromRef<App> for Arc<Gate> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.gate)
    }
}

impl App {
    /// A node's application.
    #[must_use]
    pub fn new(desk: Desk, gate: Arc<Gate>, live: Arc<Live>, cores: Cores) -> Self {
        let Cores { views, search, sagas } = cores;
        Self { desk, gate, sagas, live, views, search }
    }

    /// Persons and keys.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.desk.ports().keyring
    }

    /// The node's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.desk.ports().clock.now()
    }

    /// The bearer of a token as the log knows them.
    ///
    /// # Errors
    /// When the key store fails.
    pub async fn caller(&self, token: &Token) -> Result<(Caller, Arc<Person>), DeskError> {
        let person = self.keyring().person(&token.tenant, &token.subject).await?;
        let caller = Caller {
            tenant: token.tenant.clone(),
            role: token.role,
            principal: Principal::Person(person.id),
            device: Arc::clone(&token.device),
        };
        Ok((caller, person))
    }
}
