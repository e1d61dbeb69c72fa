//! What is hot: values by key, of which the least recently used make room once all together are too heavy.

use std::hash::Hash;

use lru::LruCache;

/// What is held, whatever is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes of all values together, beyond which the least recently used make room.
    pub bytes: usize,
    /// So many values are held however heavy they are: where more than fit are used in turn, none would be found.
    pub values: usize,
}

/// Values in so much room.
#[derive(Debug)]
pub struct Hot<K: Hash + Eq, V> {
    values: LruCache<K, Weighed<V>>,
    bytes: usize,
    room: Room,
}

#[derive(Debug)]
struct Weighed<V> {
    value: V,
    bytes: usize,
}

impl<K: Hash + Eq, V> Hot<K, V> {
    /// Nothing yet.
    #[must_use]
    pub fn new(room: Room) -> Self {
        Self { values: LruCache::unbounded(), bytes: 0, room }
    }

    /// Whether it is held.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.values.contains(key)
    }

    /// A copy of the value, made where there is none. A new one weighs `bytes` until [`Hot::weigh`] knows better.
    pub fn get_or_put(&mut self, key: K, bytes: usize, make: impl FnOnce() -> V) -> V
    where
        V: Clone,
    {
        if let Some(held) = self.values.get(&key) {
            return held.value.clone();
        }
        let value = make();
        self.put(key, value.clone(), bytes);
        value
    }

    /// Takes the value out.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let Weighed { value, bytes } = self.values.pop(key)?;
        self.bytes -= bytes;
        Some(value)
    }

    /// Holds the value in the place of another under this key.
    pub fn put(&mut self, key: K, value: V, bytes: usize) {
        self.bytes += bytes;
        if let Some(other) = self.values.put(key, Weighed { value, bytes }) {
            self.bytes -= other.bytes;
        }
        self.make_room();
    }

    /// What is held under this key weighs so much by now.
    pub fn weigh(&mut self, key: &K, bytes: usize) {
        if let Some(weighed) = self.values.peek_mut(key) {
            self.bytes = self.bytes - weighed.bytes + bytes;
            weighed.bytes = bytes;
            self.make_room();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.values.clear();
        self.bytes = 0;
    }

    fn make_room(&mut self) {
        while self.bytes > self.room.bytes && self.values.len() > self.room.values {
            let Some((_, oldest)) = self.values.pop_lru() else { return };
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hot, Room};

    #[test]
    fn the_least_recently_used_make_room_by_what_they_weigh() {
        let mut hot = Hot::new(Room { bytes: 100, values: 1 });
        for key in 0..4 {
            hot.put(key, "x", 25);
        }
        assert_eq!(hot.get_or_put(0, 25, || "y"), "x");
        hot.put(4, "x", 30);
        assert_eq!([0, 1, 2, 3, 4].map(|key| hot.contains(&key)), [true, false, false, true, true]);
        hot.weigh(&4, 70);
        assert_eq!([0, 3, 4].map(|key| hot.contains(&key)), [true, false, true]);
        assert_eq!((hot.take(&4), hot.take(&4)), (Some("x"), None));
        hot.put(5, "x", 75);
        assert!(hot.contains(&0));
    }

    #[test]
    fn one_that_is_too_heavy_alone_stays_until_another_comes() {
        let mut hot = Hot::new(Room { bytes: 100, values: 1 });
        assert_eq!(hot.get_or_put(1, 500, || "x"), "x");
        assert!(hot.contains(&1));
        hot.put(2, "x", 10);
        assert_eq!((hot.contains(&1), hot.contains(&2)), (false, true));
        hot.put(2, "y", 20);
        hot.clear();
        assert!(!hot.contains(&2));
        hot.put(3, "x", 100);
        hot.put(3, "x", 100);
        assert!(hot.contains(&3));
    }

    #[test]
    fn so_many_stay_however_heavy_they_are() {
        let mut hot = Hot::new(Room { bytes: 100, values: 3 });
        for key in 0..4 {
            hot.put(key, "x", 1_000);
        }
        assert_eq!([0, 1, 2, 3].map(|key| hot.contains(&key)), [false, true, true, true]);
    }
}
