from tools.requirements import differences, lines


def test_the_lists_agree() -> None:
    assert lines("base.txt")
    assert differences() == []
