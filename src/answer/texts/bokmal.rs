//! The Bokmål column.

use super::{Text, row};
use crate::domain::DenialCode;

#[expect(clippy::too_many_lines, reason = "one column, one row a code")]
pub(super) fn text(code: DenialCode) -> Text {
    match code {
        DenialCode::MalformedRequest => row(
            "Ugyldig forespørsel",
            "Forespørselen er ikke gyldig HTTP, eller en verdi i den kan ikke leses: {parameter}.",
        ),
        DenialCode::AmbiguousPath => row(
            "Tvetydig sti",
            "Stien kan leses på mer enn én måte. Send den uten punktsegmenter, tomme segmenter, unødvendig eller gjentatt prosentkoding, `;` eller `\\`, og skriv faste segmenter nøyaktig som dokumentert.",
        ),
        DenialCode::AmbiguousParameter => row(
            "Tvetydig parameter",
            "En verdi som tilgangen avhenger av, forekommer mer enn én gang, eller under et navn som annen programvare kan ta for det samme: {parameter}. Send den nøyaktig én gang.",
        ),
        DenialCode::PartyMissing => row(
            "Part mangler",
            "Forespørselen sier ikke hvem den gjelder. Oppgi parten i {parameter}.",
        ),
        DenialCode::PartyInvalid => row(
            "Ugyldig part",
            "Verdien i {parameter} angir ikke en part på en godtatt form, for eksempel et organisasjonsnummer med riktig kontrollsiffer.",
        ),
        DenialCode::TooManyParties => row(
            "For mange parter",
            "Forespørselen nevner flere parter enn de {limit} som godtas på én gang. Del den i flere forespørsler.",
        ),
        DenialCode::ResourceMissing => row(
            "Ressurs mangler",
            "Forespørselen sier ikke hvilken ressurs den gjelder. Oppgi den i {parameter}.",
        ),
        DenialCode::ResourceInvalid => {
            row("Ugyldig ressurs", "Verdien i {parameter} er ikke en ressursidentifikator.")
        }
        DenialCode::InstanceMissing => row(
            "Instans mangler",
            "Forespørselen sier ikke hvilken instans den gjelder, eller ikke på en godtatt form. Oppgi den i {parameter}.",
        ),
        DenialCode::BodyUnreadable => row(
            "Innholdet kan ikke leses",
            "Innholdet må leses for å avgjøre tilgangen, og er ikke velformet.",
        ),
        DenialCode::TokenMissing => row(
            "Token mangler",
            "Send et tilgangstoken fra Maskinporten i hodet `Authorization: Bearer <token>`.",
        ),
        DenialCode::TokenMalformed => row(
            "Ugyldig token",
            "Hodet `Authorization` må forekomme én gang og inneholde ett velformet bearer-token.",
        ),
        DenialCode::TokenUntrusted => row(
            "Tokenet er ikke til å stole på",
            "Tokenet er ikke signert av en utsteder som dette API-et stoler på, eller bryter utstederens regler. Sjekk at det kommer fra riktig miljø og er et tilgangstoken.",
        ),
        DenialCode::TokenExpired => {
            row("Tokenet er utløpt", "Tokenet gjelder ikke lenger. Hent et nytt.")
        }
        DenialCode::TokenNotYetValid => row(
            "Tokenet gjelder ikke ennå",
            "Tokenet gjelder ikke ennå. Sjekk klokkene i systemene som er involvert.",
        ),
        DenialCode::TokenWrongAudience => row(
            "Feil mottaker",
            "Tokenet er ikke utstedt for dette API-et. Be om det med API-ets `resource`.",
        ),
        DenialCode::ScopeMissing => row(
            "Scope mangler",
            "Tokenet har ikke de scopene som denne operasjonen krever: {one of}`requiredScopes`. Be eieren av API-et om tilgang, og hent så et nytt token med dem.",
        ),
        DenialCode::NotASystemUser => row(
            "Ikke en systembruker",
            "Denne operasjonen er for systembrukere. Hent et token med `authorization_details` av typen `urn:altinn:systemuser`.",
        ),
        DenialCode::SeveralSystemUsers => row(
            "Flere systembrukere",
            "Tokenet nevner mer enn én systembruker. Hent ett token for hver.",
        ),
        DenialCode::SubjectNotAllowed => row(
            "Avsenderen godtas ikke",
            "Denne operasjonen godtar ikke den typen avsender som tokenet beviser.",
        ),
        DenialCode::SystemNotAllowed => row(
            "Systemet godtas ikke",
            "Denne operasjonen godtar ikke systemet som systembrukeren hører til.",
        ),
        DenialCode::VendorNotAllowed => row(
            "Leverandøren godtas ikke",
            "Denne operasjonen godtar ikke leverandøren av systemet.",
        ),
        DenialCode::ResourceNotAllowed => row(
            "Ressursen godtas ikke",
            "Ressursen som er oppgitt i {parameter}, er ikke en som denne operasjonen tilbyr.",
        ),
        DenialCode::AccessDenied => row(
            "Ingen tilgang",
            "Avsenderen har ikke rett til denne handlingen på denne ressursen for denne parten. Parten, eller dens tjenesteyter, kan gi retten i Altinn: deleger rettigheten eller tilgangspakken til {grantee}.",
        ),
        DenialCode::AuthenticationLevelTooLow => row(
            "For lavt sikkerhetsnivå",
            "Operasjonen krever et høyere sikkerhetsnivå enn avsenderen har; se `requiredLevel`.",
        ),
        DenialCode::RouteClosed => row("Stengt", "Denne operasjonen er stengt."),
        DenialCode::RouteUnknown => {
            row("Ikke funnet", "Ingen operasjon i dette API-et har denne stien.")
        }
        DenialCode::MethodNotAllowed => row(
            "Metoden er ikke tillatt",
            "Stien finnes, men ikke med denne metoden; se hodet `Allow`.",
        ),
        DenialCode::RequestTimeout => row(
            "Forespørselen tok for lang tid",
            "Forespørselen kom ikke fram i tide. Send den på nytt uten opphold.",
        ),
        DenialCode::BodyTooLarge => {
            row("For stort innhold", "Innholdet er større enn de {limit} bytene som godtas her.")
        }
        DenialCode::TargetTooLong => row(
            "For lang adresse",
            "Stien og spørringen er til sammen lengre enn de {limit} bytene som godtas her.",
        ),
        DenialCode::UnsupportedBody => row(
            "Innholdet støttes ikke",
            "Innholdets medietype, tegnsett eller koding kan ikke leses her. Send den dokumenterte medietypen, i UTF-8, ukomprimert.",
        ),
        DenialCode::ExpectationFailed => row(
            "Forventningen kan ikke innfris",
            "Den eneste forventningen som godtas, er `100-continue`.",
        ),
        DenialCode::HostUnknown => {
            row("Ukjent vert", "Denne tjeneren svarer ikke for verten i forespørselen.")
        }
        DenialCode::HeadersTooLarge => {
            row("For store hoder", "Hodene er flere, eller større, enn det som godtas.")
        }
        DenialCode::ObligationUnknown => row(
            "Ukjent vilkår",
            "Tilgang ble gitt på et vilkår som denne porten ikke kjenner, og avvises derfor. Eieren av API-et er varslet.",
        ),
        DenialCode::DecisionIndeterminate => row(
            "Ingen avgjørelse",
            "Autorisasjonssystemet kunne ikke avgjøre saken. Feilen ligger hos eieren av API-et eller autorisasjonssystemet, ikke i forespørselen. Prøv igjen senere.",
        ),
        DenialCode::KeysUnavailable => row(
            "Nøkler er utilgjengelige",
            "Tokenet kan ikke kontrolleres nå, fordi utstederens nøkler ikke er å få tak i. Prøv igjen senere.",
        ),
        DenialCode::CredentialUnavailable => row(
            "Autorisasjon er utilgjengelig",
            "Denne porten kan ikke dokumentere sin egen identitet overfor autorisasjonssystemet nå. Feilen ligger ikke i tokenet ditt. Prøv igjen senere.",
        ),
        DenialCode::PdpUnavailable => row(
            "Autorisasjon er utilgjengelig",
            "Autorisasjonssystemet kan ikke nås nå. Prøv igjen senere.",
        ),
        DenialCode::PdpTimeout => row(
            "Autorisasjon tok for lang tid",
            "Autorisasjonssystemet svarte ikke i tide. Prøv igjen senere.",
        ),
        DenialCode::PdpProtocolError => row(
            "Autorisasjon er utilgjengelig",
            "Autorisasjonssystemet ga et svar som ikke er til å stole på. Prøv igjen senere.",
        ),
        DenialCode::Overloaded => row(
            "Overbelastet",
            "For mange forespørsler på én gang. Send færre om gangen, og prøv igjen senere.",
        ),
        DenialCode::UpstreamUnreachable => row(
            "API-et kan ikke nås",
            "API-et bak denne porten kan ikke nås nå. Prøv igjen senere.",
        ),
        DenialCode::UpstreamProtocolError => row(
            "Ugyldig svar fra API-et",
            "API-et bak denne porten ga et svar som ikke er velformet.",
        ),
        DenialCode::UpstreamTimeout => {
            row("API-et tok for lang tid", "API-et bak denne porten svarte ikke i tide.")
        }
        DenialCode::Internal => row(
            "Intern feil",
            "Denne porten feilet. Oppgi forespørselens id i `instance` til eieren av API-et.",
        ),
    }
}
