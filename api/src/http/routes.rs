//! Routes with a table of what they are, for metrics and for the check against the OpenAPI document.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

/// A router that knows its routes.
pub struct Routes<S = ()> {
    router: Router<S>,
    table: Vec<(Method, &'static str)>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    #[must_use]
    pub fn new() -> Self {
        Self { router: Router::new(), table: Vec::new() }
    }

    /// Adds the handler of one method at one path, such as `/v1/tickets/{id}`.
    ///
    /// # Panics
    /// When the method is one that HTTP does not name, or the path has it already.
    #[must_use]
    pub fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a method of HTTP");
        self.table.push((method, path));
        Self { router: self.router.route(path, on(filter, handler)), table: self.table }
    }

    /// Adds all of another's routes.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.table.extend(other.table);
        Self { router: self.router.merge(other.router), table: self.table }
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state<S2: Clone + Send + Sync + 'static>(self, state: S) -> Routes<S2> {
        Routes { router: self.router.with_state(state), table: self.table }
    }

    /// Every method and path.
    #[must_use]
    pub fn table(&self) -> &[(Method, &'static str)] {
        &self.table
    }

    /// The router alone.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
