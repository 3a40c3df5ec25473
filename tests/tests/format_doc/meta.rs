//! A file of the meta log.

use annals_core::{EventKind, FileId, MemoryStorage, Storage, StorageFile};

use crate::fields::{Fields, crc32};
use crate::fixture::open;

#[test]
fn a_file_of_the_meta_log_is_read_by_the_tables_of_the_page() {
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    log.name_kind(EventKind::new(1, 2), "order.placed").unwrap();
    log.name_kind(EventKind::new(1, 3), "order.paid").unwrap();
    log.close().unwrap();
    let file = storage.open(FileId::meta(1)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();

    let mut fields = Fields(&bytes);
    assert_eq!(fields.take(8), b"ANNALMET");
    assert_eq!((fields.u16(), fields.u16(), fields.u32()), (1, 0, 64));
    assert_eq!((fields.array(), fields.u64()), ([0x11; 16], 1));
    let whole_len = usize::try_from(fields.u64()).unwrap();
    let salt: [u8; 4] = fields.array();
    assert_eq!((fields.array(), fields.u32()), (salt, 0));
    assert_eq!(fields.u32(), crc32(&[&bytes[..60]]));
    let frame_salt = crc32(&[&salt, &[0x11; 16], &1_u64.to_le_bytes()]).to_le_bytes();

    let (mut at, mut values) = (64, Vec::new());
    while at < bytes.len() {
        let mut fields = Fields(&bytes[at..]);
        assert_eq!(fields.u32(), 0xA771_3E7A);
        let len: [u8; 4] = fields.array();
        let end = at + 12 + u32::from_le_bytes(len) as usize;
        assert_eq!(fields.u32(), crc32(&[&frame_salt, &len, &bytes[at + 12..end]]));
        assert_eq!(fields.u64(), if at < whole_len { 0 } else { at as u64 });
        let entries = fields.u32();
        for _ in 0..entries {
            let (key_len, value_len) = (usize::from(fields.u16()), fields.len());
            values.push((fields.take(key_len), fields.take(value_len)));
        }
        assert_eq!(fields.0.len(), bytes.len() - end);
        at = end.next_multiple_of(8);
    }
    let expected: [(&[u8], &[u8]); 2] =
        [(b"k/order.placed", &[0x02, 0x10]), (b"k/order.paid", &[0x03, 0x10])];
    assert_eq!(values, expected);
}
