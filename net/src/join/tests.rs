//! Joining over real QUIC, against a fake [`Admission`].

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{FutureExt, future::BoxFuture};
use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    Admission, KeyFingerprint, NodeId, Role, TokenId,
    ca::{Ca, Profile},
    testing::{Node, authority, soon},
    wire::{WIRE, WireRange},
};

/// Gives the refusals one after the other, then admits.
struct Fake {
    ca: Ca,
    answer_ca: Ca,
    refusals: Vec<JoinRefusal>,
    asked: AtomicUsize,
    seen: Mutex<Vec<JoinRequest>>,
}

impl Admission for Fake {
    fn admit(
        &self,
        request: JoinRequest,
        key: KeyFingerprint,
        from: SocketAddr,
    ) -> BoxFuture<'_, Result<JoinAnswer, JoinRefusal>> {
        assert!(from.ip().is_loopback());
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(request.clone());
        let reply = match self.refusals.get(turn) {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(self.answer(&request, key)),
        };
        async move { reply }.boxed()
    }
}

impl Fake {
    fn answer(&self, request: &JoinRequest, key: KeyFingerprint) -> JoinAnswer {
        let profile = Profile::Node { cluster: "test".into(), id: request.node, name: request.name.clone() };
        let year = Duration::from_secs(365 * 24 * 3600);
        let certificate = self.answer_ca.issue_from_csr(&profile, &request.csr, SystemTime::now(), year).unwrap();
        assert_eq!(crate::key::of_certificate(&certificate), Some(key));
        JoinAnswer {
            wire: WIRE.newest,
            already: false,
            certificate,
            authority: self.answer_ca.certificate().to_vec(),
            api_authority: Vec::new(),
            cluster: "test".into(),
            incarnation: 1,
            feature_level: 1,
            members: Vec::new(),
            removed: Vec::new(),
        }
    }
}

struct Lab {
    server: Node,
    fake: Arc<Fake>,
    token: Token,
    joiner: Identity,
    patience: Duration,
}

fn lab(refusals: Vec<JoinRefusal>) -> Lab {
    let ca = authority();
    let again = || Ca::from_bytes(&ca.to_bytes()).unwrap();
    lab_with(Fake { ca: again(), answer_ca: again(), refusals, asked: AtomicUsize::new(0), seen: Mutex::default() })
}

fn lab_with(fake: Fake) -> Lab {
    let server = Node::start(&fake.ca);
    let mut rng = StdRng::seed_from_u64(3);
    let token = Token::create(&fake.ca.fingerprint(), &mut rng);
    let fake = Arc::new(fake);
    server.endpoint.admit(fake.clone());
    let patience = Duration::from_secs(10);
    Lab { server, fake, token, joiner: Identity::ephemeral(&mut rng).unwrap(), patience }
}

fn request(token: &Token) -> JoinRequest {
    JoinRequest::new(token, "n2", vec!["0.0.0.0:7443".parse().unwrap()])
}

impl Lab {
    async fn join_as(&self, request: JoinRequest) -> Result<JoinAnswer, JoinError> {
        let patience = self.patience;
        soon(join(&self.joiner, &self.token, &[self.server.address], request, SystemTime::now(), patience)).await
    }

    async fn join(&self) -> Result<JoinAnswer, JoinError> {
        self.join_as(request(&self.token)).await
    }
}

#[tokio::test]
async fn a_machine_with_a_token_joins_and_may_ask_again() {
    let lab = lab(vec![]);
    for _ in 0..2 {
        let answer = lab.join().await.unwrap();
        assert!(is_signed_by(&answer.certificate, lab.fake.ca.certificate()));
    }
    let seen = lab.fake.seen.lock().unwrap();
    assert_eq!((seen[0].node, seen[0].secret.clone()), (lab.joiner.id(), lab.token.secret.clone()));
}

#[tokio::test]
async fn a_member_may_ask_too() {
    let lab = lab(vec![]);
    let key = lab.joiner.fingerprint();
    let peer = crate::Peer { id: lab.joiner.id(), key, addresses: vec![], role: Role::Worker, name: "n2".into() };
    lab.server.peers.replace(vec![peer], &[]);
    lab.join().await.unwrap();
}

#[tokio::test]
async fn a_removed_id_or_key_is_refused_before_anybody_is_asked() {
    for by_id in [true, false] {
        let lab = lab(vec![]);
        let own = (lab.joiner.id(), lab.joiner.fingerprint());
        let (id, key) = if by_id { (own.0, KeyFingerprint([1; 32])) } else { (NodeId(1), own.1) };
        lab.server.peers.replace(vec![], &[crate::Removed { id, key }]);
        let error = lab.join().await.unwrap_err();
        assert!(matches!(error, JoinError::Refused(JoinRefusal::Removed(id)) if id == own.0), "{error}");
        assert_eq!(lab.fake.asked.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn every_refusal_arrives_with_its_remedy() {
    let id = TokenId([1; 5]);
    let range = WireRange { oldest: 8, newest: 9 };
    for (refusal, word) in [
        (JoinRefusal::UnknownToken(id), "mesh token create"),
        (JoinRefusal::WrongSecret(id), "paste the whole line"),
        (JoinRefusal::ExpiredToken(id), "expired"),
        (JoinRefusal::UsedToken(id), "has been used"),
        (JoinRefusal::NameTaken { name: "n2".into(), holder: NodeId(1) }, "--replace"),
        (JoinRefusal::OtherCluster { ours: "a".into(), theirs: "b".into() }, "mesh leave"),
        (JoinRefusal::Removed(NodeId(1)), "empty the data directory"),
        (JoinRefusal::Version { ours: range, theirs: WIRE }, "install the release"),
    ] {
        let error = lab(vec![refusal.clone()]).join().await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(matches!(error, JoinError::Refused(told) if told == refusal));
    }
}

#[tokio::test]
async fn a_busy_cluster_is_asked_again() {
    let lab = lab(vec![JoinRefusal::Busy { retry_after_ms: 1 }]);
    lab.join().await.unwrap();
    assert_eq!(lab.fake.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_secret_is_not_shown_to_another_cluster() {
    let mut lab = lab(vec![]);
    lab.token = Token::create(&authority().fingerprint(), &mut rand::rng());
    let error = lab.join().await.unwrap_err();
    assert!(matches!(error, JoinError::WrongCluster { .. }), "{error}");
    assert!(error.to_string().contains(&lab.server.address.to_string()));
    assert_eq!(lab.fake.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_impostor_that_shows_the_right_authority_is_not_told_the_secret() {
    // Its certificate is of another authority; it only passes the right one along.
    let (real, own) = (authority(), authority());
    let impostor = Node::start(&own);
    let certificate = own
        .issue_for(&node_profile(&impostor), impostor.identity.key(), SystemTime::now(), Duration::from_secs(60))
        .unwrap();
    impostor.endpoint.set_certificate(certificate, real.certificate().to_vec()).unwrap();
    let token = Token::create(&real.fingerprint(), &mut rand::rng());
    let joiner = Identity::ephemeral(&mut rand::rng()).unwrap();
    let addresses = [impostor.address];
    let asked = join(&joiner, &token, &addresses, request(&token), SystemTime::now(), Duration::ZERO);
    assert!(soon(asked).await.is_err());
}

fn node_profile(node: &Node) -> Profile {
    Profile::Node { cluster: "test".into(), id: node.id(), name: "n".into() }
}

#[tokio::test]
async fn an_answer_under_another_authority_is_not_trusted() {
    let fake = Fake {
        ca: authority(),
        answer_ca: authority(),
        refusals: vec![],
        asked: AtomicUsize::new(0),
        seen: Mutex::default(),
    };
    let error = lab_with(fake).join().await.unwrap_err();
    assert!(matches!(error, JoinError::BadAnswer(_)), "{error}");
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_never_reaches_admission() {
    let lab = lab(vec![]);
    let good = request(&lab.token);
    for (bad, word) in [
        (JoinRequest { name: "UPPER".into(), ..good.clone() }, "\"UPPER\""),
        (JoinRequest { name: "a..b".into(), ..good.clone() }, "--name"),
        (JoinRequest { addresses: vec![], ..good.clone() }, "0 addresses"),
        (JoinRequest { wire: WireRange { oldest: 7, newest: 7 }, ..good.clone() }, "wire version 7 "),
    ] {
        let error = lab.join_as(bad).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(lab.fake.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let mut lab = lab(vec![]);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    lab.server.address = silent.local_addr().unwrap();
    lab.patience = Duration::ZERO;
    let error = lab.join().await.unwrap_err();
    assert!(error.to_string().contains(&lab.server.address.to_string()), "{error}");
    assert!(matches!(error, JoinError::Unreachable { .. }));
}

#[tokio::test]
async fn a_node_that_admits_nobody_says_so() {
    let ca = authority();
    let server = Node::start(&ca);
    let token = Token::create(&ca.fingerprint(), &mut rand::rng());
    let joiner = Identity::ephemeral(&mut rand::rng()).unwrap();
    let addresses = [server.address];
    let asked = join(&joiner, &token, &addresses, request(&token), SystemTime::now(), Duration::ZERO);
    let error = soon(asked).await.unwrap_err();
    assert!(matches!(error, JoinError::Broken(_) | JoinError::NoAnswer), "{error}");
}

#[tokio::test]
async fn two_hundred_join_at_once() {
    let lab = lab(vec![]);
    let joins = (0..200).map(|_| async {
        let joiner = Identity::ephemeral(&mut rand::rng()).unwrap();
        let patience = Duration::from_secs(60);
        let request = request(&lab.token);
        join(&joiner, &lab.token, &[lab.server.address], request, SystemTime::now(), patience).await.map(drop)
    });
    let outcomes = tokio::time::timeout(Duration::from_secs(90), futures::future::join_all(joins)).await.unwrap();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_err()).collect();
    assert!(failed.is_empty(), "{} of 200 failed, {:?} first", failed.len(), failed[0]);
}
