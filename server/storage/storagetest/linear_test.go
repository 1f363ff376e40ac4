package storagetest

import (
	"testing"

	"github.com/anishathalye/porcupine"

	"quicprochat/server/storage"
)

// The model refuses what must not happen, so that a check can fail.
func TestCommitModel(t *testing.T) {
	a, b := storage.ItemID{1}, storage.ItemID{2}
	op := func(client, from, to int, in commitInput, out commitOutput) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: int64(to)}
	}
	for name, test := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"one after the other":      {[]porcupine.Operation{op(0, 0, 1, commitInput{7, a}, commitOutput{won: true}), op(1, 2, 3, commitInput{7, b}, commitOutput{current: 8, winner: &a})}, true},
		"two winners":              {[]porcupine.Operation{op(0, 0, 2, commitInput{7, a}, commitOutput{won: true}), op(1, 1, 3, commitInput{7, b}, commitOutput{won: true})}, false},
		"a wrong winner":           {[]porcupine.Operation{op(0, 0, 1, commitInput{7, a}, commitOutput{won: true}), op(1, 2, 3, commitInput{7, b}, commitOutput{current: 8, winner: &b})}, false},
		"a loser before a winner":  {[]porcupine.Operation{op(0, 0, 1, commitInput{7, b}, commitOutput{current: 8, winner: &a}), op(1, 2, 3, commitInput{7, a}, commitOutput{won: true})}, false},
		"an old epoch is seen":     {[]porcupine.Operation{op(0, 0, 1, commitInput{7, a}, commitOutput{won: true}), op(1, 2, 3, commitInput{}, commitOutput{current: 7})}, false},
		"repeated":                 {[]porcupine.Operation{op(0, 0, 1, commitInput{7, a}, commitOutput{won: true}), op(0, 2, 3, commitInput{7, a}, commitOutput{won: true})}, true},
		"failed and carried out":   {[]porcupine.Operation{op(0, 0, 9, commitInput{7, a}, commitOutput{unknown: true}), op(1, 2, 3, commitInput{7, b}, commitOutput{current: 8, winner: &a})}, true},
		"failed and not, then won": {[]porcupine.Operation{op(0, 0, 9, commitInput{7, a}, commitOutput{unknown: true}), op(1, 2, 3, commitInput{7, b}, commitOutput{won: true})}, true},
	} {
		if got := checkCommits(test.history); (got == porcupine.Ok) != test.want || got == porcupine.Unknown {
			t.Errorf("%s: got %v", name, got)
		}
		if got := porcupine.CheckOperations(commits.ToModel(), test.history); got != test.want {
			t.Errorf("%s, searched as it is: got %v", name, got)
		}
	}
}

// What became of a commit that was tried several times is found out from the
// last try alone.
func TestTriesAreSettled(t *testing.T) {
	a, b := storage.ItemID{1}, storage.ItemID{2}
	op := func(client, from, to int, in commitInput, out commitOutput) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: int64(to)}
	}
	lost, open := commitOutput{unknown: true}, 1000
	for name, test := range map[string]struct {
		history []porcupine.Operation
		calls   int
		want    bool
	}{
		"won at the first try": {[]porcupine.Operation{
			op(0, 0, open, commitInput{7, a}, lost), op(1, 1, 2, commitInput{7, b}, commitOutput{current: 8, winner: &a}), op(0, 3, 4, commitInput{7, a}, commitOutput{won: true}),
		}, 2, true},
		"lost at last, and told to have won": {[]porcupine.Operation{
			op(0, 0, open, commitInput{7, a}, lost), op(1, 1, 2, commitInput{7, b}, commitOutput{current: 8, winner: &a}), op(0, 3, 4, commitInput{7, a}, commitOutput{current: 8, winner: &b}),
		}, 2, false},
		"forgotten, and won": {[]porcupine.Operation{
			op(0, 0, open, commitInput{7, a}, lost), op(0, 1, open, commitInput{7, a}, lost), op(1, 1, 2, commitInput{7, b}, commitOutput{current: 8, winner: &a}),
			op(0, 3, 4, commitInput{7, a}, commitOutput{current: 8, forgotten: true}),
		}, 3, true},
		"forgotten, and too late": {[]porcupine.Operation{
			op(1, 0, 1, commitInput{7, b}, commitOutput{won: true}), op(0, 2, open, commitInput{7, a}, lost),
			op(0, 3, 4, commitInput{7, a}, commitOutput{current: 8, forgotten: true}), op(1, 5, 6, commitInput{7, storage.ItemID{3}}, commitOutput{current: 8, winner: &a}),
		}, 4, false},
	} {
		history := settled(test.history)
		if got := checkCommits(history); (got == porcupine.Ok) != test.want || got == porcupine.Unknown {
			t.Errorf("%s: got %v", name, got)
		}
		if len(history) != test.calls {
			t.Errorf("%s: %d calls are left, want %d", name, len(history), test.calls)
		}
	}
}

// Many calls under way at the same time, as while a database restarts, do not
// make the search endless.
func TestCheckCommitsIsQuick(t *testing.T) {
	a, b := storage.ItemID{1}, storage.ItemID{2}
	op := func(client, from, to int, in commitInput, out commitOutput) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from), Return: int64(to)}
	}
	history := []porcupine.Operation{
		op(0, 0, 1, commitInput{7, a}, commitOutput{won: true}),
		op(0, 2, 1000, commitInput{8, b}, commitOutput{won: true}),
		op(1, 3, 1000, commitInput{7, storage.ItemID{3}}, commitOutput{current: 8, winner: &a}),
	}
	for i := range 100 {
		history = append(history, op(2+i, 4+i, 500+i, commitInput{7, storage.ItemID{4, byte(i)}}, commitOutput{current: 9, winner: &a}))
	}
	if got := checkCommits(history); got != porcupine.Ok {
		t.Errorf("got %v", got)
	}
}
