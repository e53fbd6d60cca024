//! A header extension block that is read and written element by element (RFC 8285 section 4).

/// The elements of one packet's header extension; a profile other than RFC 8285's has none.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::media) struct Block<'a> {
    form: Form,
    bytes: &'a [u8],
}

/// One element: its id, where its data begins in the block, and the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) struct Element<'a> {
    pub(in crate::media) id: u8,
    pub(in crate::media) at: usize,
    pub(in crate::media) data: &'a [u8],
}

/// The bytes that [`write_extensions`] writes for the same elements.
pub fn extensions_len(elements: &[(u8, &[u8])]) -> usize {
    let head = form_of(elements).element_head();
    let body: usize = writable(elements).map(|(_, data)| head + data.len()).sum();
    match body {
        0 => 0,
        body => BLOCK_HEAD + body.next_multiple_of(4),
    }
}

/// Writes a header extension block with its four-byte head and says how long it is; none for no
/// elements.
///
/// One-byte headers are used where every id and length permits it. Ids are 1 to 255 and data has at
/// most 255 bytes; an element beyond that cannot be expressed and is left out.
///
/// # Panics
///
/// When `out` is shorter than [`extensions_len`].
pub fn write_extensions(out: &mut [u8], elements: &[(u8, &[u8])]) -> usize {
    let len = extensions_len(elements);
    if len == 0 {
        return 0;
    }
    let form = form_of(elements);
    let out = &mut out[..len];
    out[..2].copy_from_slice(&form.profile().to_be_bytes());
    out[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
    let mut at = BLOCK_HEAD;
    for (id, data) in writable(elements) {
        match form {
            Form::OneByte => out[at] = id << 4 | (data.len() - 1) as u8,
            Form::TwoByte | Form::Foreign => {
                out[at] = id;
                out[at + 1] = data.len() as u8;
            }
        }
        at += form.element_head();
        out[at..at + data.len()].copy_from_slice(data);
        at += data.len();
    }
    out[at..].fill(0);
    len
}

/// Where an element's data stands in a block that [`write_extensions`] wrote.
pub fn extension_at(block: &[u8], id: u8) -> Option<std::ops::Range<usize>> {
    let (head, body) = block.split_first_chunk::<BLOCK_HEAD>()?;
    let profile = u16::from_be_bytes([head[0], head[1]]);
    let element = Block::new(profile, body).elements().find(|element| element.id == id)?;
    let start = BLOCK_HEAD + element.at;
    Some(start..start + element.data.len())
}

// === impl Block ===

impl<'a> Block<'a> {
    /// Takes the block after its four-byte head.
    pub(in crate::media) fn new(profile: u16, bytes: &'a [u8]) -> Self {
        let form = match profile {
            0xBEDE => Form::OneByte,
            // The low four bits belong to the application.
            0x1000..=0x100F => Form::TwoByte,
            _ => Form::Foreign,
        };
        Self { form, bytes }
    }

    /// The elements in order. An element that leaves the block ends it.
    pub(in crate::media) fn elements(self) -> impl Iterator<Item = Element<'a>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (id, start, len) = match self.form {
                Form::OneByte => self.one_byte(&mut at)?,
                Form::TwoByte => self.two_byte(&mut at)?,
                Form::Foreign => return None,
            };
            let data = self.bytes.get(start..start + len)?;
            at = start + len;
            Some(Element { id, at: start, data })
        })
    }

    fn one_byte(self, at: &mut usize) -> Option<(u8, usize, usize)> {
        self.skip_padding(at);
        let head = *self.bytes.get(*at)?;
        match head >> 4 {
            // Id 15, and id 0 with a length, end the block whatever follows (section 4.2).
            0 | 15 => None,
            id => Some((id, *at + 1, usize::from(head & 0x0F) + 1)),
        }
    }

    fn two_byte(self, at: &mut usize) -> Option<(u8, usize, usize)> {
        self.skip_padding(at);
        let id = *self.bytes.get(*at)?;
        let len = *self.bytes.get(*at + 1)?;
        Some((id, *at + 2, usize::from(len)))
    }

    fn skip_padding(self, at: &mut usize) {
        while self.bytes.get(*at) == Some(&0) {
            *at += 1;
        }
    }
}

/// The head of an element, as the profile in the block's head names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
    #[default]
    Foreign,
}

impl Form {
    fn element_head(self) -> usize {
        match self {
            Self::OneByte => 1,
            Self::TwoByte | Self::Foreign => 2,
        }
    }

    fn profile(self) -> u16 {
        match self {
            Self::OneByte => 0xBEDE,
            Self::TwoByte | Self::Foreign => 0x1000,
        }
    }
}

fn form_of(elements: &[(u8, &[u8])]) -> Form {
    let fits = writable(elements).all(|(id, data)| id <= 14 && (1..=16).contains(&data.len()));
    if fits { Form::OneByte } else { Form::TwoByte }
}

fn writable<'a>(elements: &'a [(u8, &'a [u8])]) -> impl Iterator<Item = (u8, &'a [u8])> {
    elements.iter().copied().filter(|(id, data)| *id != 0 && data.len() <= 255)
}

const BLOCK_HEAD: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(profile: u16, bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Block::new(profile, bytes).elements().map(|e| (e.id, e.data.to_vec())).collect()
    }

    fn written(elements: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = [0xFF; 1024];
        let len = write_extensions(&mut out, elements);
        assert_eq!(len, extensions_len(elements));
        out[..len].to_vec()
    }

    #[test]
    fn elements_of_both_forms_are_read_across_padding() {
        type Row<'a> = (u16, &'a [u8], Vec<(u8, Vec<u8>)>);
        let rows: [Row<'_>; 9] = [
            (
                0xBEDE,
                &[0x10, b'0', 0x31, 0xAB, 0xCD, 0, 0, 0],
                vec![(1, vec![b'0']), (3, vec![0xAB, 0xCD])],
            ),
            (0xBEDE, &[0, 0, 0x10, 7], vec![(1, vec![7])]),
            (0xBEDE, &[0x10, 7, 0xF0, 9, 0x20, 8, 0, 0], vec![(1, vec![7])]),
            (0xBEDE, &[0x10, 7, 0x01, 9, 9, 0x20, 8, 0], vec![(1, vec![7])]),
            (0xBEDE, &[0x10, 7, 0x22, 9], vec![(1, vec![7])]),
            (0x1000, &[18, 2, 5, 6, 0, 4, 0, 0], vec![(18, vec![5, 6]), (4, vec![])]),
            (0x100F, &[15, 1, 5, 0], vec![(15, vec![5])]),
            (0x1000, &[3, 1, 5, 4], vec![(3, vec![5])]),
            (0xABCD, &[0x10, 7, 0, 0], vec![]),
        ];
        for (profile, bytes, want) in rows {
            assert_eq!(read(profile, bytes), want, "{profile:04x} {bytes:x?}");
        }
    }

    #[test]
    fn the_shortest_form_that_fits_is_written_and_padded_to_words() {
        assert_eq!(written(&[]), []);
        assert_eq!(written(&[(1, b"a")]), [0xBE, 0xDE, 0, 1, 0x10, b'a', 0, 0]);
        assert_eq!(written(&[(14, &[1, 2, 3])]), [0xBE, 0xDE, 0, 1, 0xE2, 1, 2, 3]);
        assert_eq!(written(&[(15, &[1])]), [0x10, 0, 0, 1, 15, 1, 1, 0]);
        assert_eq!(written(&[(1, &[])]), [0x10, 0, 0, 1, 1, 0, 0, 0]);
        assert_eq!(written(&[(1, &[9; 16])])[..5], [0xBE, 0xDE, 0, 5, 0x1F]);
        assert_eq!(written(&[(1, &[9; 17])])[..6], [0x10, 0, 0, 5, 1, 17]);
        assert_eq!(written(&[(0, &[9]), (2, &[9; 256])]), []);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            elements in vec((1..=255_u8, vec(any::<u8>(), 0..40)), 0..6),
        ) {
            let slices: Vec<_> = elements.iter().map(|(id, data)| (*id, &data[..])).collect();
            let bytes = written(&slices);
            let back = match bytes.split_at_checked(4) {
                Some((head, body)) => read(u16::from_be_bytes([head[0], head[1]]), body),
                None => vec![],
            };
            prop_assert_eq!(back, elements);
        }

        #[test]
        fn any_block_reads_within_its_bounds(
            profile in prop_oneof![Just(0xBEDE_u16), Just(0x1000), any::<u16>()],
            bytes in vec(any::<u8>(), 0..80),
        ) {
            for element in Block::new(profile, &bytes).elements() {
                let range = element.at..element.at + element.data.len();
                prop_assert_eq!(&bytes[range], element.data);
            }
        }
    }
}
