//! A slab of sessions whose keys are never used twice.

use super::command::SessionKey;

/// Values by slot and generation.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

// === impl Slab ===

impl<T> Slab<T> {
    /// Stores a value under a new key.
    pub(super) fn insert(&mut self, value: T) -> SessionKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.0 += 1;
        slot.1 = Some(value);
        SessionKey { index, generation: slot.0 }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: SessionKey) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.1.as_ref().filter(|_| slot.0 == key.generation)
    }

    /// The value of a key.
    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        slot.1.as_mut().filter(|_| slot.0 == key.generation)
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, key: SessionKey) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        let value = slot.1.take_if(|_| slot.0 == key.generation)?;
        self.free.push(key.index);
        Some(value)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Every key in use, in slot order.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        let keys = self.slots.iter().enumerate();
        keys.filter(|(_, slot)| slot.1.is_some())
            .map(|(index, slot)| SessionKey { index: index as u32, generation: slot.0 })
            .collect()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}
