"""What is said of a file."""

from behaviorseq.datasets import File, Member, PackageIndex, Web


def test_what_is_downloaded_to_get_a_file() -> None:
    wheel = File("data-1.0-py3-none-any.whl", "0" * 64, 10, PackageIndex("data==1.0"))
    member = File("a.csv", "1" * 64, 5, Member(wheel, "data/a.csv"))
    page = File("b.csv", "2" * 64, 5, Web("https://example.org/b.csv"))
    assert [file.download for file in (wheel, member, page)] == [wheel, wheel, page]
