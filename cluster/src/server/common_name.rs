//! The common name of a certificate's subject (RFC 5280, §4.1.2.6).

use simple_asn1::{ASN1Block, from_der, oid};

/// The subject's common name, the last if there are several; of a certificate that has been
/// verified already.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let [ASN1Block::Sequence(_, certificate)] = &from_der(certificate).ok()?[..] else {
        return None;
    };
    let ASN1Block::Sequence(_, signed) = certificate.first()? else { return None };
    // The version comes first where it is not the first version: then the serial number, the
    // signature's algorithm, the issuer, the validity and the subject.
    let subject = if let ASN1Block::Explicit(..) = signed.first()? { 5 } else { 4 };
    let ASN1Block::Sequence(_, names) = signed.get(subject)? else { return None };
    names.iter().filter_map(relative_name).next_back()
}

/// The common name in one part of a distinguished name.
fn relative_name(part: &ASN1Block) -> Option<String> {
    let ASN1Block::Set(_, attributes) = part else { return None };
    let common_name = oid!(2, 5, 4, 3);
    attributes.iter().rev().find_map(|attribute| {
        let ASN1Block::Sequence(_, pair) = attribute else { return None };
        let [ASN1Block::ObjectIdentifier(_, kind), value] = &pair[..] else { return None };
        match value {
            _ if *kind != common_name => None,
            ASN1Block::UTF8String(_, text)
            | ASN1Block::PrintableString(_, text)
            | ASN1Block::TeletexString(_, text)
            | ASN1Block::IA5String(_, text)
            | ASN1Block::BMPString(_, text) => Some(text.clone()),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::common_name;

    #[test]
    fn the_name_is_found_among_others_and_not_made_up() {
        for (names, expected) in [
            (vec![(DnType::CommonName, "alice")], Some("alice")),
            (vec![(DnType::OrganizationName, "o"), (DnType::CommonName, "älice")], Some("älice")),
            (vec![(DnType::OrganizationName, "o")], None),
        ] {
            let mut params = CertificateParams::default();
            params.distinguished_name = Default::default();
            for (kind, name) in names {
                params.distinguished_name.push(kind, name);
            }
            let key = KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("a certificate");
            assert_eq!(common_name(certificate.der()).as_deref(), expected);
        }
        for damaged in [&b""[..], b"\x30", b"\x30\x00", b"no certificate"] {
            assert_eq!(common_name(damaged), None, "{damaged:?}");
        }
    }
}
