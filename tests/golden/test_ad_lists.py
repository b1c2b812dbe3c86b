"""Hashes of ad lists against the examples that the platforms publish."""

from __future__ import annotations

import hashlib

import pytest

from zhiyin.act.lists.hashing import Contact, google_email, hash_google, hash_meta, meta_zip


@pytest.mark.parametrize(
    ("written", "expected"),
    [  # Data Manager API, "Send audience members": the sample data, hashed
        ("dana@example.com",
         "07e2f1394b0ea80e2adca010ea8318df697001a005ba7452720edda4b0ce57b3"),
        ("DanaM@example.com",
         "1df6b43bc68dd38eca94e6a65b4f466ae537b796c81a526918b40ac4a7b906c7"),
        (" ALEXF@example.com ",
         "19de0a9906ebee29fe82087be5ec44f3c01e40730bc808b663c71f19dd6b12f2"),
        ("AlexF@cymbalgroup.com",
         "7d2d80e240594dcee2e57f57885ee286c4b232dd142234d7a0af6d31cc86679b"),
        ("quinn@CYMBALGROUP.com",
         "05bb62526f091b45d20e243d194766cca8869137421047dc53fa4876d111a6f0"),
        ("baklavainthebalkans@gmail.com",
         "f1fcde379f31f4d446b76ee8f34860eca2288adc6b6d6c0fdc56d9eee75a2fa5"),
        ("cloudySanFrancisco@GMAIL.com",
         "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
        ("cloudy.sanfrancisco+shopping@gmail.com",
         "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4"),
    ],
)  # fmt: skip
def test_an_email_is_hashed_as_google_shows(written, expected):
    assert hash_google(Contact(email=written))["Email"] == expected


def test_dots_and_tags_stay_outside_gmail():
    assert google_email("user.name+NYC@Example.com") == "user.name+nyc@example.com"
    assert google_email("a.b+c@googlemail.com") == "ab@googlemail.com"
    assert google_email("no address") == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("+1-800-555-0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
        ("+1 800-555-0101", "61d6c2976b5d92b1ad63073a12fddd26040cd980067d03a93dd1cc50f1a3ac68"),
        ("+18005550102", "c5383c2eeada28210d27f011bc127d4f9562cf38ff0c9bba33dd45ae79b9fe7c"),
        ("+18005550110", "525c2390a4e2a9766fa8ddc341dd10414603baebefa401f5a5e29f55e176525d"),
    ],
)
def test_a_phone_is_hashed_as_google_shows(written, expected):
    assert hash_google(Contact(phone=written))["Phone"] == expected


def test_google_gets_country_and_zip_plain_and_names_hashed():
    made = hash_google(Contact(first_name=" Mrs. Zoë ", last_name="O'Brien, Jr.", country="us ",
                               zip=" 94016 "))  # fmt: skip
    assert list(made) == ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"]
    assert (made["Country"], made["Zip"]) == ("US", "94016")
    assert made["First Name"] == hashlib.sha256("zoë".encode()).hexdigest()
    assert made["Last Name"] == hashlib.sha256(b"obrien").hexdigest()
    assert (made["Email"], made["Phone"]) == ("", "")


@pytest.mark.parametrize(
    ("contact", "column", "expected"),
    [  # Conversions API, "Customer information parameters": expected SHA256 output
        (Contact(email="John_Smith@gmail.com"), "email",
         "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        (Contact(phone="+1 (650)555-1212"), "phone",
         "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
        (Contact(first_name="Mary"), "fn",
         "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        (Contact(first_name="정"), "fn",
         "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
        (Contact(last_name="Valéry"), "ln",
         "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        (Contact(country="US"), "country",
         "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
    ],
)  # fmt: skip
def test_a_field_is_hashed_as_meta_shows(contact, column, expected):
    made = hash_meta(contact)
    assert list(made) == ["email", "phone", "fn", "ln", "ct", "st", "zip", "country"]
    assert made.pop(column) == expected
    assert set(made.values()) == {""}


def test_meta_gets_cities_states_and_zips_in_its_own_spelling():
    made = hash_meta(Contact(city="New York", region="New York", zip="10001-1234", country="us"))
    spelt = {"ct": "newyork", "st": "ny", "zip": "10001", "country": "us"}
    assert {name: made[name] for name in spelt} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in spelt.items()
    }
    assert meta_zip("M1 1AE", "gb") == "m11ae"


def test_a_plain_zip_is_nothing_that_a_spreadsheet_runs():
    for written, kept in (("WC2H 8LG", "WC2H 8LG"), ("=1+1", "1 1"), ("-94016-12", "94016-12")):
        assert hash_google(Contact(zip=written))["Zip"] == kept


def test_a_number_without_its_country_is_on_no_list():
    assert hash_meta(Contact(phone="650 555 1212"))["phone"] == ""
    assert hash_google(Contact(phone="650 555 1212"))["Phone"] == ""


def test_a_contact_never_shows_itself():
    assert "dana" not in repr(Contact(email="dana@example.com", first_name="dana"))
