//! Numbered places for things that come and go, without allocation once it is warm.

/// A thing with a number; the number is used again when it is gone, in another life.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(u32, T)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// A place for `thing`: its number.
    pub(super) fn add(&mut self, thing: T) -> u32 {
        match self.free.pop() {
            Some(id) => {
                self.places[id as usize].1 = thing;
                id
            }
            None => {
                self.places.push((0, thing));
                self.places.len() as u32 - 1
            }
        }
    }

    /// It is gone; its number begins another life.
    pub(super) fn remove(&mut self, id: u32) {
        let life = &mut self.places[id as usize].0;
        *life = life.wrapping_add(1);
        self.free.push(id);
    }

    /// The life that a number is in.
    pub(super) fn life(&self, id: u32) -> u32 {
        self.places[id as usize].0
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, id: u32) -> &T {
        &self.places[id as usize].1
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.places[id as usize].1
    }
}
