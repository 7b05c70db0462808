//! The layer around routes that are not for everyone: it sheds load, asks for the key, and keeps rates, in
//! this order, cheapest first.
//!
//! One layer rather than three, because each costs every request a box. A request whose key is in memory
//! passes without an allocation or a wait. Not for: scopes, which each route asks for itself.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use posthaste_base::{Code, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

use crate::auth::{Access, Caller, Decision};
use crate::key::KeyHash;
use crate::{Problem, Rate, RateLimiter};

/// Look-ups of keys that are not in memory, for all callers together: more are guesses.
const LOOK_UPS_PER_SECOND: u32 = 500;
/// When to come again after being turned away for load.
const SHED_RETRY_SECONDS: u32 = 1;

/// What requests must pass.
pub struct Gate {
    access: Access,
    rates: RateLimiter,
    /// For keys without a rate of their own, and for callers without a key, by address.
    rate: Option<Rate>,
    look_ups: Option<Rate>,
    places: Arc<Semaphore>,
}

#[derive(Hash)]
enum RateKey {
    Key(i64),
    Address(Option<IpAddr>),
    LookUps,
}

impl Gate {
    /// At most `concurrency_max` requests are worked on at once; long polls take a place while they wait.
    pub fn new(access: Access, rate: Option<Rate>, concurrency_max: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(concurrency_max.min(Semaphore::MAX_PERMITS)));
        let look_ups = Rate::new(LOOK_UPS_PER_SECOND, LOOK_UPS_PER_SECOND);
        Arc::new(Self { access, rates: RateLimiter::new(), rate, look_ups, places })
    }

    pub fn access(&self) -> &Access {
        &self.access
    }

    fn place(&self) -> Result<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            Error::new(Code::Unavailable, "too many requests are being worked on")
                .retry_after(SHED_RETRY_SECONDS)
        })
    }

    /// Decides at once where it can.
    fn decide(&self, request: &Request) -> Result<Decision> {
        let decision = self.access.decide(request.headers())?;
        match &decision {
            Decision::Known(caller) => self.take(caller, request)?,
            Decision::LookUp(_) => {
                self.look_ups.map_or(Ok(()), |rate| self.rates.take(RateKey::LookUps, rate))?;
            }
        }
        Ok(decision)
    }

    fn take(&self, caller: &Caller, request: &Request) -> Result<()> {
        let (key, rate) = match caller.key() {
            Some(key) => (RateKey::Key(key.id), key.rate.or(self.rate)),
            None => (RateKey::Address(address(request)), self.rate),
        };
        rate.map_or(Ok(()), |rate| self.rates.take(key, rate))
    }
}

fn address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

#[derive(Clone)]
pub struct GateLayer {
    gate: Arc<Gate>,
}

impl GateLayer {
    pub fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.gate.clone() }
    }
}

#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Service<Request> for Gated<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let gate = &self.gate;
        let decided = gate.place().and_then(|place| Ok((place, gate.decide(&request)?)));
        match decided {
            Err(error) => GateFuture::Refused { problem: Some(Problem(error)) },
            Ok((place, Decision::Known(caller))) => {
                request.extensions_mut().insert(caller);
                GateFuture::Passed { inner: self.inner.call(request), place }
            }
            Ok((place, Decision::LookUp(hash))) => {
                // The service that was made ready is the one to call; its copy takes its place.
                let copy = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, copy);
                let gate = gate.clone();
                GateFuture::LookingUp {
                    answer: Box::pin(look_up_and_pass(gate, inner, request, hash, place)),
                }
            }
        }
    }
}

async fn look_up_and_pass<S>(
    gate: Arc<Gate>,
    mut inner: S,
    mut request: Request,
    hash: KeyHash,
    _place: OwnedSemaphorePermit,
) -> Result<Response, Infallible>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let found = gate.access.look_up(hash).await;
    match found.and_then(|caller| gate.take(&caller, &request).map(|()| caller)) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            inner.call(request).await
        }
        Err(error) => Ok(Problem(error).into_response()),
    }
}

type Boxed = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

pin_project! {
    #[project = GateProjection]
    pub enum GateFuture<F> {
        Passed { #[pin] inner: F, place: OwnedSemaphorePermit },
        Refused { problem: Option<Problem> },
        LookingUp { answer: Boxed },
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for GateFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            GateProjection::Passed { inner, .. } => inner.poll(context),
            GateProjection::LookingUp { answer } => answer.as_mut().poll(context),
            GateProjection::Refused { problem } => match problem.take() {
                Some(problem) => Poll::Ready(Ok(problem.into_response())),
                None => Poll::Pending,
            },
        }
    }
}
