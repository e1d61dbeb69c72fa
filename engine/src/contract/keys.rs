//! Key stores: secrets made once, persons added once and found three ways.

use std::sync::Arc;

use docket_schemas::{KeyId, PersonId};
use uuid::Uuid;

use super::KeysHarness;
use super::drafts::{tenant, uuid};
use crate::ports::keys::{KeyStore, StoredPerson, StoredSecrets};

/// The first secrets stand, whatever is offered later.
pub async fn secrets_are_made_once(harness: &impl KeysHarness) {
    let store = harness.fresh().await;
    assert_eq!(store.secrets().await.expect("an answer"), None);
    for offered in [1, 2] {
        let standing = store.create_secrets(secrets(offered)).await.expect("an answer");
        assert_eq!(standing, secrets(1));
    }
    let other = harness.second_connection().await;
    assert_eq!(other.secrets().await.expect("an answer"), Some(secrets(1)));
}

/// Two first starts at once.
pub async fn two_nodes_that_start_at_once_agree_on_the_secrets(harness: &impl KeysHarness) {
    let stores = [harness.fresh().await, harness.second_connection().await];
    let offering = |(store, number): (Arc<dyn KeyStore>, u8)| {
        tokio::spawn(async move { store.create_secrets(secrets(number)).await })
    };
    let [one, two] = stores.map(|store| store);
    let (one, two) = (offering((one, 1)), offering((two, 2)));
    let one = one.await.expect("no panic").expect("an answer");
    let two = two.await.expect("no panic").expect("an answer");
    assert_eq!(one, two);
}

/// All columns come back, by each of the three ways.
pub async fn a_person_is_found_by_lookup_id_and_key(harness: &impl KeysHarness) {
    let store = harness.fresh().await;
    let persons = [person("acme", 1), person("acme", 2)];
    assert_eq!(store.add_persons(&persons).await.expect("an answer"), persons);
    let store = harness.second_connection().await;
    for person in &persons {
        let expected = std::slice::from_ref(person);
        let by_lookup = store.persons_by_lookup(&[(person.tenant.clone(), person.lookup)]).await;
        assert_eq!(by_lookup.expect("an answer"), expected);
        let by_id = store.persons_by_id(&[(person.tenant.clone(), person.person)]).await;
        assert_eq!(by_id.expect("an answer"), expected);
        let by_key = store.persons_by_key(&[person.key_id]).await;
        assert_eq!(by_key.expect("an answer"), expected);
    }
    let keys = persons.each_ref().map(|person| person.key_id);
    assert_eq!(store.persons_by_key(&keys).await.expect("an answer").len(), 2);
}

/// Asking for nobody, or for strangers, is no error.
pub async fn the_unknown_are_left_out(harness: &impl KeysHarness) {
    let store = harness.fresh().await;
    store.add_persons(&[person("acme", 1)]).await.expect("an answer");
    let (known, stranger) = (person("acme", 1), person("acme", 9));
    let both = [(stranger.tenant.clone(), stranger.lookup), (known.tenant.clone(), known.lookup)];
    assert_eq!(store.persons_by_lookup(&both).await.expect("an answer"), [known]);
    assert!(store.persons_by_lookup(&[]).await.expect("an answer").is_empty());
    assert!(store.persons_by_id(&[]).await.expect("an answer").is_empty());
    assert!(store.persons_by_key(&[stranger.key_id]).await.expect("an answer").is_empty());
    assert!(store.add_persons(&[]).await.expect("an answer").is_empty());
}

/// The key under which events are sealed already is never replaced, nor within one call.
pub async fn a_person_added_twice_stays_as_first_added(harness: &impl KeysHarness) {
    let store = harness.fresh().await;
    let first = person("acme", 1);
    let again = StoredPerson { key_id: KeyId::new(uuid(4, 99)), ..first.clone() };
    let other = person("acme", 2);
    let standing = store.add_persons(&[first.clone(), again.clone()]).await.expect("an answer");
    assert_eq!(standing, [first.clone(), first.clone()]);
    let standing = store.add_persons(&[other.clone(), again.clone()]).await.expect("an answer");
    assert_eq!(standing, [other, first]);
    assert!(store.persons_by_key(&[again.key_id]).await.expect("an answer").is_empty());
}

/// Two nodes meet a person for the first time, in opposite order.
pub async fn two_nodes_that_add_one_person_agree(harness: &impl KeysHarness) {
    let stores = [harness.fresh().await, harness.second_connection().await];
    let mut adding = Vec::new();
    for (store, key) in stores.into_iter().zip(1..) {
        adding.push(tokio::spawn(async move {
            let mut persons: Vec<_> = (1..=50u8).map(|number| person("acme", number)).collect();
            for person in &mut persons {
                person.key_id = KeyId::new(Uuid::from_u64_pair(key, u64::from(person.lookup[0])));
            }
            if key == 2 {
                persons.reverse();
            }
            let mut standing = store.add_persons(&persons).await.expect("an answer");
            standing.sort_by_key(|person| person.lookup);
            standing
        }));
    }
    let [one, two]: [_; 2] = adding.try_into().expect("two");
    let (one, two) = (one.await.expect("no panic"), two.await.expect("no panic"));
    assert_eq!(one.len(), 50);
    assert_eq!(one, two);
}

/// An erased person keeps the id that the log knows; the same outside id begins a new generation.
pub async fn a_person_without_a_key_is_found_by_id_only_among_the_living(
    harness: &impl KeysHarness,
) {
    let store = harness.fresh().await;
    let erased = StoredPerson { wrapped_key: None, ..person("acme", 1) };
    let next = StoredPerson {
        generation: 2,
        person: PersonId::new(uuid(5, 50)),
        key_id: KeyId::new(uuid(4, 50)),
        ..person("acme", 1)
    };
    store.add_persons(std::slice::from_ref(&erased)).await.expect("an answer");
    let lookup = [(erased.tenant.clone(), erased.lookup)];
    assert!(store.persons_by_lookup(&lookup).await.expect("an answer").is_empty());
    let standing = store.add_persons(std::slice::from_ref(&next)).await.expect("an answer");
    assert_eq!(standing, std::slice::from_ref(&next));
    assert_eq!(store.persons_by_lookup(&lookup).await.expect("an answer"), [next]);
    let by_id = store.persons_by_id(&[(erased.tenant.clone(), erased.person)]).await;
    assert_eq!(by_id.expect("an answer"), [erased]);
}

/// One outside id at two tenants is two persons.
pub async fn tenants_do_not_share_persons(harness: &impl KeysHarness) {
    let store = harness.fresh().await;
    let ours = person("acme", 1);
    let theirs = StoredPerson { key_id: KeyId::new(uuid(4, 70)), ..person("bolt", 1) };
    let both = [ours.clone(), theirs.clone()];
    assert_eq!(store.add_persons(&both).await.expect("an answer"), both);
    let found = store.persons_by_lookup(&[(ours.tenant.clone(), ours.lookup)]).await;
    assert_eq!(found.expect("an answer"), [ours]);
    let found = store.persons_by_id(&[(theirs.tenant.clone(), theirs.person)]).await;
    assert_eq!(found.expect("an answer"), [theirs]);
}

fn secrets(number: u8) -> StoredSecrets {
    StoredSecrets {
        store_id: uuid(7, u64::from(number)),
        person_key: vec![number; 60],
        request_key: vec![number, 0, 255],
    }
}

fn person(owner: &str, number: u8) -> StoredPerson {
    StoredPerson {
        tenant: tenant(owner),
        lookup: [number; 32],
        person: PersonId::new(uuid(5, u64::from(number))),
        generation: 1,
        outside_id: vec![number, 0, 1, 255],
        key_id: KeyId::new(uuid(4, u64::from(number))),
        wrapped_key: Some(vec![number; 60]),
    }
}
