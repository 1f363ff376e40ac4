package identity

import (
	"bufio"
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MinPassword is the least number of characters of a password.
	MinPassword = 10
	// MaxPassword is the greatest length of a password in bytes.
	MaxPassword = 1024

	// minEffective is how many characters must be left of a password once
	// each run such as "12345", "qwerty" or "aaaa" counts as one.
	minEffective = 6
	// minDistinct is the least number of different characters.
	minDistinct = 5
	// minNamePart: shorter names may be part of a password by chance.
	minNamePart = 4
)

// WeakPasswordError says why a password is refused. Its text is a sentence for
// a person that says what to do instead.
type WeakPasswordError struct {
	// Sentence never contains the password.
	Sentence string
}

func (e *WeakPasswordError) Error() string { return e.Sentence }

func weak(format string, args ...any) error {
	return &WeakPasswordError{Sentence: fmt.Sprintf(format, args...)}
}

// NormalizePassword returns what a password is after typing it on any
// keyboard: Unicode NFC, each space character an ordinary space (RFC 8265
// §4.2). Whoever hands a password to OPAQUE or to the vault normalises it
// first, or "é" on one system is another password than on the next.
func NormalizePassword(password string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, password))
}

// CheckPassword returns a *WeakPasswordError where a guesser would soon find
// the password of this name: fewer than 10 characters, a well-known password
// (maybe with digits or signs around it), the name, the name of the service,
// a sequence, or a repetition. It asks for no kinds of characters: length is
// what counts.
func CheckPassword(name, password string) error {
	if !utf8.ValidString(password) {
		return weak("That password cannot be typed everywhere: use letters, digits, signs and spaces.")
	}
	password = NormalizePassword(password)
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return weak("Use at least %d characters. Four random words are easy to remember and hard to guess.", MinPassword)
	case len(password) > MaxPassword:
		return weak("That password is too long: at most %d bytes.", MaxPassword)
	}
	lower := strings.ToLower(password)
	plain := withoutLeet(lower)
	switch {
	case isWellKnown(lower), isWellKnown(plain):
		return weak("That is one of the passwords that everybody tries first. Choose one that nobody else would have.")
	case contains(lower, plain, "quicprochat"), contains(lower, plain, "quicproquo"):
		return weak("Leave the name of this app out of your password: guessers start with it.")
	case len(name) >= minNamePart && contains(lower, plain, strings.ToLower(name)):
		return weak("Leave your name out of your password: guessers start with it.")
	case consistsOf(lower, strings.ToLower(name)):
		return weak("Your password must not be made of your name.")
	}
	return checkShape([]rune(lower))
}

// checkShape refuses what is long only by repeating or counting.
func checkShape(p []rune) error {
	unit := p[:period(p)]
	distinct := make(map[rune]struct{}, len(p))
	for _, r := range p {
		distinct[r] = struct{}{}
	}
	switch {
	case len(unit) == 1:
		return weak("One character over and over is quickly guessed. Use different ones.")
	case len(unit) < MinPassword && 2*len(unit) <= len(p):
		return weak("Repeating the same few characters makes a password longer, not better. Add something different.")
	case len(distinct) < minDistinct:
		return weak("Use more different characters: at least %d.", minDistinct)
	case effectiveLength(p) < minEffective:
		return weak("Rows of the keyboard and sequences such as 12345 or abcde are guessed first. Add a few random words.")
	}
	return nil
}

// contains tells whether either form of a password contains the word, forwards
// or backwards.
func contains(lower, plain, word string) bool {
	back := reversed(word)
	return strings.Contains(lower, word) || strings.Contains(plain, word) ||
		strings.Contains(lower, back) || strings.Contains(plain, back)
}

// consistsOf tells whether nothing but digits and signs is left of the
// password without the word.
func consistsOf(lower, word string) bool {
	if word == "" || !strings.Contains(lower, word) {
		return false
	}
	rest := strings.ReplaceAll(lower, word, "")
	return !strings.ContainsFunc(rest, unicode.IsLetter)
}

// period returns the length of the shortest unit whose repetition, maybe cut
// short at the end, is p.
func period(p []rune) int {
	// The prefix function of Knuth, Morris and Pratt.
	border := make([]int, len(p))
	for i := 1; i < len(p); i++ {
		k := border[i-1]
		for k > 0 && p[i] != p[k] {
			k = border[k-1]
		}
		if p[i] == p[k] {
			k++
		}
		border[i] = k
	}
	return len(p) - border[len(p)-1]
}

// keyboardRows are rows that fingers run along, on the common layouts.
var keyboardRows = []string{
	"1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiopü", "asdfghjklöä", "yxcvbnm",
	"azertyuiop", "qsdfghjklm", "wxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "1q2w3e4r5t6y7u8i9o0p",
	"!@#$%^&*()",
}

// neighbours holds the pairs that follow each other on a keyboard, both ways.
var neighbours = func() map[[2]rune]bool {
	pairs := make(map[[2]rune]bool)
	for _, row := range keyboardRows {
		r := []rune(row)
		for i := range len(r) - 1 {
			pairs[[2]rune{r[i], r[i+1]}] = true
			pairs[[2]rune{r[i+1], r[i]}] = true
		}
	}
	return pairs
}()

// effectiveLength counts a run of three or more that repeats, counts up or
// down, or follows the keyboard as one character.
func effectiveLength(p []rune) int {
	n := 0
	for i := 0; i < len(p); {
		run := 1
		for i+run < len(p) && follows(p[i+run-1], p[i+run]) {
			run++
		}
		if run >= 3 {
			n++
		} else {
			n += run
		}
		i += run
	}
	return n
}

func follows(a, b rune) bool {
	return b-a >= -1 && b-a <= 1 || neighbours[[2]rune{a, b}]
}

//go:embed well_known_passwords.txt
var wellKnownText string

// wellKnown holds the embedded list, in lower case.
var wellKnown = func() map[string]bool {
	words := make(map[string]bool)
	for lines := bufio.NewScanner(strings.NewReader(wellKnownText)); lines.Scan(); {
		if w := strings.TrimSpace(lines.Text()); w != "" && w[0] != '#' {
			words[w] = true
		}
	}
	return words
}()

// isWellKnown tells whether the password, or what is left of it without digits
// and signs on either side, stands in the list; spaces do not matter.
func isWellKnown(p string) bool {
	p = strings.ReplaceAll(p, " ", "")
	core := strings.TrimFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })
	return wellKnown[p] || wellKnown[core]
}

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// withoutLeet undoes the usual replacements of letters inside the word, but
// leaves digits and signs at its end, which are more often just that.
func withoutLeet(p string) string {
	end := len(strings.TrimRightFunc(p, func(r rune) bool { return !unicode.IsLetter(r) }))
	return leet.Replace(p[:end]) + p[end:]
}

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
