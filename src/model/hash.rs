//! Content hashes of JSON values: equal content, equal hash, on every machine.

use serde_json::Value;

/// A 64-bit FNV-1a hash of the value's canonical form (keys sorted).
pub fn content_hash(value: &Value) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    fold(value, &mut hash);
    hash
}

fn bytes(data: &[u8], hash: &mut u64) {
    for byte in data {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

fn fold(value: &Value, hash: &mut u64) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            bytes(b"{", hash);
            for key in keys {
                bytes(key.as_bytes(), hash);
                bytes(b":", hash);
                fold(&map[key], hash);
            }
            bytes(b"}", hash);
        }
        Value::Array(items) => {
            bytes(b"[", hash);
            for item in items {
                fold(item, hash);
                bytes(b",", hash);
            }
            bytes(b"]", hash);
        }
        Value::String(text) => {
            bytes(b"\"", hash);
            bytes(text.as_bytes(), hash);
            bytes(b"\"", hash);
        }
        other => bytes(other.to_string().as_bytes(), hash),
    }
}

/// The letters of Kubernetes' safe alphabet for a 32-bit hash in decimal
/// (`staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go`, `SafeEncodeString`).
pub fn safe_encode(hash: u32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string().bytes().map(|digit| ALPHABET[usize::from(digit) % 27] as char).collect()
}
