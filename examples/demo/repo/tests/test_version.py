import unittest

from semver import Version, highest


class VersionTest(unittest.TestCase):
    def test_numbers_compare_by_value(self):
        self.assertLess(Version("1.9.0"), Version("1.10.0"))

    def test_a_release_comes_after_its_candidates(self):
        self.assertLess(Version("1.0.0-rc.1"), Version("1.0.0"))

    def test_numeric_identifiers_compare_by_value(self):
        self.assertLess(Version("1.0.0-rc.2"), Version("1.0.0-rc.10"))

    def test_numbers_come_before_words(self):
        self.assertLess(Version("1.0.0-alpha.1"), Version("1.0.0-alpha.beta"))

    def test_highest(self):
        self.assertEqual(highest(["1.0.0-rc.9", "1.0.0-rc.11", "0.9.0"]), "1.0.0-rc.11")


if __name__ == "__main__":
    unittest.main()
