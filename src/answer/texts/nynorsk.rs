//! The Nynorsk column.

use super::{Text, row};
use crate::domain::DenialCode;

#[expect(clippy::too_many_lines, reason = "one column, one row a code")]
pub(super) fn text(code: DenialCode) -> Text {
    match code {
        DenialCode::MalformedRequest => row(
            "Ugyldig førespurnad",
            "Førespurnaden er ikkje gyldig HTTP, eller ein verdi i han kan ikkje lesast: {parameter}.",
        ),
        DenialCode::AmbiguousPath => row(
            "Tvitydig stig",
            "Stigen kan lesast på meir enn éin måte. Send han utan punktsegment, tomme segment, unødvendig eller gjenteken prosentkoding, `;` eller `\\`, og skriv faste segment nøyaktig som dokumentert.",
        ),
        DenialCode::AmbiguousParameter => row(
            "Tvitydig parameter",
            "Ein verdi som tilgangen er avhengig av, finst meir enn éin gong, eller under eit namn som anna programvare kan ta for det same: {parameter}. Send han nøyaktig éin gong.",
        ),
        DenialCode::PartyMissing => row(
            "Part manglar",
            "Førespurnaden seier ikkje kven han gjeld. Oppgi parten i {parameter}.",
        ),
        DenialCode::PartyInvalid => row(
            "Ugyldig part",
            "Verdien i {parameter} viser ikkje til ein part på ei godteken form, til dømes eit organisasjonsnummer med rett kontrollsiffer.",
        ),
        DenialCode::TooManyParties => row(
            "For mange partar",
            "Førespurnaden nemner fleire partar enn dei {limit} som er godtekne på éin gong. Del han i fleire førespurnader.",
        ),
        DenialCode::ResourceMissing => row(
            "Ressurs manglar",
            "Førespurnaden seier ikkje kva ressurs han gjeld. Oppgi han i {parameter}.",
        ),
        DenialCode::ResourceInvalid => {
            row("Ugyldig ressurs", "Verdien i {parameter} er ikkje ein ressursidentifikator.")
        }
        DenialCode::InstanceMissing => row(
            "Instans manglar",
            "Førespurnaden seier ikkje kva instans han gjeld, eller ikkje på ei godteken form. Oppgi han i {parameter}.",
        ),
        DenialCode::BodyUnreadable => row(
            "Innhaldet kan ikkje lesast",
            "Innhaldet må lesast for å avgjere tilgangen, og er ikkje velforma.",
        ),
        DenialCode::TokenMissing => row(
            "Token manglar",
            "Send eit tilgangstoken frå Maskinporten i hovudet `Authorization: Bearer <token>`.",
        ),
        DenialCode::TokenMalformed => row(
            "Ugyldig token",
            "Hovudet `Authorization` må finnast éin gong og innehalde eitt velforma bearer-token.",
        ),
        DenialCode::TokenUntrusted => row(
            "Tokenet er ikkje til å lite på",
            "Tokenet er ikkje signert av ein utferdar som dette API-et lit på, eller bryt reglane til utferdaren. Sjekk at det kjem frå rett miljø og er eit tilgangstoken.",
        ),
        DenialCode::TokenExpired => {
            row("Tokenet er gått ut", "Tokenet gjeld ikkje lenger. Hent eit nytt.")
        }
        DenialCode::TokenNotYetValid => row(
            "Tokenet gjeld ikkje enno",
            "Tokenet gjeld ikkje enno. Sjekk klokkene i systema som er involverte.",
        ),
        DenialCode::TokenWrongAudience => row(
            "Feil mottakar",
            "Tokenet er ikkje utferda for dette API-et. Be om det med `resource` for API-et.",
        ),
        DenialCode::ScopeMissing => row(
            "Scope manglar",
            "Tokenet har ikkje dei scopa som denne operasjonen krev: {one of}`requiredScopes`. Be eigaren av API-et om tilgang, og hent så eit nytt token med dei.",
        ),
        DenialCode::NotASystemUser => row(
            "Ikkje ein systembrukar",
            "Denne operasjonen er for systembrukarar. Hent eit token med `authorization_details` av typen `urn:altinn:systemuser`.",
        ),
        DenialCode::SeveralSystemUsers => row(
            "Fleire systembrukarar",
            "Tokenet nemner meir enn éin systembrukar. Hent eitt token for kvar.",
        ),
        DenialCode::SubjectNotAllowed => row(
            "Avsendaren er ikkje godteken",
            "Denne operasjonen godtek ikkje den typen avsendar som tokenet prover.",
        ),
        DenialCode::SystemNotAllowed => row(
            "Systemet er ikkje godteke",
            "Denne operasjonen godtek ikkje systemet som systembrukaren høyrer til.",
        ),
        DenialCode::VendorNotAllowed => row(
            "Leverandøren er ikkje godteken",
            "Denne operasjonen godtek ikkje leverandøren av systemet.",
        ),
        DenialCode::ResourceNotAllowed => row(
            "Ressursen er ikkje godteken",
            "Ressursen som er oppgitt i {parameter}, er ikkje ein som denne operasjonen tilbyr.",
        ),
        DenialCode::AccessDenied => row(
            "Ingen tilgang",
            "Avsendaren har ikkje rett til denne handlinga på denne ressursen for denne parten. Parten, eller tenesteytaren til parten, kan gi retten i Altinn: deleger rettigheita eller tilgangspakken til {grantee}.",
        ),
        DenialCode::AuthenticationLevelTooLow => row(
            "For lågt tryggleiksnivå",
            "Operasjonen krev eit høgare tryggleiksnivå enn avsendaren har; sjå `requiredLevel`.",
        ),
        DenialCode::RouteClosed => row("Stengd", "Denne operasjonen er stengd."),
        DenialCode::RouteUnknown => {
            row("Ikkje funnen", "Ingen operasjon i dette API-et har denne stigen.")
        }
        DenialCode::MethodNotAllowed => row(
            "Metoden er ikkje tillaten",
            "Stigen finst, men ikkje med denne metoden; sjå hovudet `Allow`.",
        ),
        DenialCode::RequestTimeout => row(
            "Førespurnaden tok for lang tid",
            "Førespurnaden kom ikkje fram i tide. Send han på nytt utan opphald.",
        ),
        DenialCode::BodyTooLarge => row(
            "For stort innhald",
            "Innhaldet er større enn dei {limit} bytane som er godtekne her.",
        ),
        DenialCode::TargetTooLong => row(
            "For lang adresse",
            "Stigen og spørjinga er til saman lengre enn dei {limit} bytane som er godtekne her.",
        ),
        DenialCode::UnsupportedBody => row(
            "Innhaldet er ikkje støtta",
            "Medietypen, teiknsettet eller kodinga til innhaldet kan ikkje lesast her. Send den dokumenterte medietypen, i UTF-8, ukomprimert.",
        ),
        DenialCode::ExpectationFailed => row(
            "Forventninga kan ikkje innfriast",
            "Den einaste forventninga som er godteken, er `100-continue`.",
        ),
        DenialCode::HostUnknown => {
            row("Ukjend vert", "Denne tenaren svarer ikkje for verten i førespurnaden.")
        }
        DenialCode::HeadersTooLarge => {
            row("For store hovud", "Hovuda er fleire, eller større, enn det som er godteke.")
        }
        DenialCode::ObligationUnknown => row(
            "Ukjent vilkår",
            "Tilgang vart gitt på eit vilkår som denne porten ikkje kjenner, og blir difor avvist. Eigaren av API-et er varsla.",
        ),
        DenialCode::DecisionIndeterminate => row(
            "Inga avgjerd",
            "Autorisasjonssystemet kunne ikkje avgjere saka. Feilen ligg hos eigaren av API-et eller autorisasjonssystemet, ikkje i førespurnaden. Prøv igjen seinare.",
        ),
        DenialCode::KeysUnavailable => row(
            "Nøklar er utilgjengelege",
            "Tokenet kan ikkje kontrollerast no, fordi nøklane til utferdaren ikkje er å få tak i. Prøv igjen seinare.",
        ),
        DenialCode::CredentialUnavailable => row(
            "Autorisasjon er utilgjengeleg",
            "Denne porten kan ikkje dokumentere sin eigen identitet overfor autorisasjonssystemet no. Feilen ligg ikkje i tokenet ditt. Prøv igjen seinare.",
        ),
        DenialCode::PdpUnavailable => row(
            "Autorisasjon er utilgjengeleg",
            "Autorisasjonssystemet kan ikkje nåast no. Prøv igjen seinare.",
        ),
        DenialCode::PdpTimeout => row(
            "Autorisasjon tok for lang tid",
            "Autorisasjonssystemet svarte ikkje i tide. Prøv igjen seinare.",
        ),
        DenialCode::PdpProtocolError => row(
            "Autorisasjon er utilgjengeleg",
            "Autorisasjonssystemet gav eit svar som ikkje er til å lite på. Prøv igjen seinare.",
        ),
        DenialCode::Overloaded => row(
            "Overlasta",
            "For mange førespurnader på éin gong. Send færre om gongen, og prøv igjen seinare.",
        ),
        DenialCode::UpstreamUnreachable => row(
            "API-et kan ikkje nåast",
            "API-et bak denne porten kan ikkje nåast no. Prøv igjen seinare.",
        ),
        DenialCode::UpstreamProtocolError => row(
            "Ugyldig svar frå API-et",
            "API-et bak denne porten gav eit svar som ikkje er velforma.",
        ),
        DenialCode::UpstreamTimeout => {
            row("API-et tok for lang tid", "API-et bak denne porten svarte ikkje i tide.")
        }
        DenialCode::Internal => row(
            "Intern feil",
            "Denne porten feila. Oppgi id-en til førespurnaden i `instance` til eigaren av API-et.",
        ),
    }
}
