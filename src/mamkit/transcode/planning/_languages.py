"""Language tags as containers hold them (ISO 639-2) to those of the web (RFC 5646)."""

import re

__all__ = ["web_tag"]

# RFC 5646 section 2.2.1: the two-letter code is the one to use where there is one. The codes of ISO 639-2, both the
# terminological and the bibliographic ones, of the languages that films are found in.
_PAIRS = """
afr:af alb:sq amh:am ara:ar arm:hy aze:az baq:eu bel:be ben:bn bos:bs bul:bg bur:my cat:ca ces:cs chi:zh
cym:cy cze:cs dan:da deu:de dut:nl ell:el eng:en est:et eus:eu fas:fa fin:fi fra:fr fre:fr geo:ka ger:de
gle:ga glg:gl gre:el guj:gu hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ice:is ind:id isl:is ita:it jpn:ja
kan:kn kat:ka kaz:kk khm:km kor:ko kur:ku lao:lo lat:la lav:lv lit:lt ltz:lb mac:mk mal:ml mar:mr may:ms
mkd:mk mlt:mt mon:mn msa:ms mya:my nep:ne nld:nl nno:nn nob:nb nor:no pan:pa per:fa pol:pl por:pt pus:ps
ron:ro rum:ro rus:ru sin:si slk:sk slo:sk slv:sl som:so spa:es sqi:sq srp:sr swa:sw swe:sv tam:ta tel:te
tgl:tl tha:th tur:tr ukr:uk urd:ur uzb:uz vie:vi wel:cy yid:yi yor:yo zho:zh zul:zu
"""
_TWO_LETTERS = dict(pair.split(":") for pair in _PAIRS.split())

_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*", re.IGNORECASE)


def web_tag(tag: str | None) -> str | None:
    """Return a language tag for a playlist; None where there is none, or something else stands in its place."""
    if tag is None or not _TAG.fullmatch(tag) or tag.lower() == "und":
        return None
    return _TWO_LETTERS.get(tag.lower(), tag)
