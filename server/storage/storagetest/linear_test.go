package storagetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"quicprochat/server/storage"
)

func won(client, from, to int, epoch uint64, item byte) call {
	return call{client: client, called: time.Duration(from), returned: time.Duration(to), epoch: epoch, item: storage.ItemID{item}, won: true}
}

func lost(client, from, to int, epoch uint64, item byte, current uint64, winner byte) call {
	return call{client: client, called: time.Duration(from), returned: time.Duration(to), epoch: epoch, item: storage.ItemID{item}, current: current, winner: storage.ItemID{winner}}
}

func looked(from, to int, current uint64) call {
	return call{client: committers, called: time.Duration(from), returned: time.Duration(to), current: current}
}

// What must not happen is refused, so that a check can fail: by the bounds of
// the epochs, and by the search alone.
func TestCheckCommits(t *testing.T) {
	for name, test := range map[string]struct {
		history []call
		want    bool
	}{
		"nothing":                 {nil, true},
		"one after the other":     {[]call{won(0, 0, 1, 7, 1), lost(1, 2, 3, 7, 2, 8, 1)}, true},
		"two winners":             {[]call{won(0, 0, 2, 7, 1), won(1, 1, 3, 7, 2)}, false},
		"a wrong winner":          {[]call{won(0, 0, 1, 7, 1), lost(1, 2, 3, 7, 2, 8, 2)}, false},
		"no winner":               {[]call{won(0, 0, 1, 7, 1), lost(1, 2, 3, 7, 2, 8, 0)}, false},
		"a loser before a winner": {[]call{lost(1, 0, 1, 7, 2, 8, 1), won(0, 2, 3, 7, 1)}, false},
		"lost and not over":       {[]call{lost(0, 0, 1, 7, 1, 7, 0)}, false},
		"an epoch before":         {[]call{won(0, 0, 1, 7, 1), lost(1, 2, 3, 7, 2, 6, 1)}, false},
		"an old epoch is seen":    {[]call{won(0, 0, 1, 7, 1), looked(2, 3, 7)}, false},
		"a new epoch is seen":     {[]call{won(0, 0, 1, 7, 1), looked(2, 3, 9)}, false},
		"an epoch is left out":    {[]call{won(0, 0, 1, 7, 1), won(0, 2, 3, 9, 2)}, false},
		"epochs the wrong way":    {[]call{won(0, 2, 3, 7, 1), won(1, 0, 1, 8, 2)}, false},
		"seen, and later not":     {[]call{won(0, 0, 9, 7, 1), looked(1, 2, 8), looked(3, 4, 7)}, false},
		"seen, and then no more":  {[]call{won(0, 0, 9, 7, 1), looked(1, 2, 7), looked(3, 4, 8)}, true},
		"all in the same moment":  {[]call{looked(5, 5, 8), won(0, 5, 5, 8, 2), looked(5, 5, 7), won(1, 5, 5, 7, 1)}, true},
	} {
		if err := checkCommits(test.history); (err == nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
		if got := porcupine.CheckOperations(commits, operations(test.history, nil)); got != test.want {
			t.Errorf("%s, searched as it is: %v", name, got)
		}
	}
}

// The bounds and a search of the history as it is say the same of histories of
// few calls, whatever they are.
func TestBoundsAreExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	verdicts := make(map[bool]int)
	for range 30000 {
		history := raced(random, 4+random.IntN(6), 8)
		if random.IntN(2) == 0 { // make it another one, mostly a wrong one
			c := &history[random.IntN(len(history))]
			c.called = time.Duration(random.IntN(40))
			c.returned = c.called + time.Duration(random.IntN(8))
		}
		_, err := explain(history)
		if want := porcupine.CheckOperations(commits, operations(history, nil)); (err == nil) != want {
			t.Fatalf("the search says %v, the bounds %v: %+v", want, err, history)
		}
		verdicts[err == nil]++
	}
	if verdicts[true] < 1000 || verdicts[false] < 1000 {
		t.Errorf("too few of a kind: %v", verdicts)
	}
}

// The search of a narrowed history never goes back, however many calls are under
// way at the same time, as while a database restarts.
func TestSearchIsShort(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, overlap := range []int{1, 30, 300, 5000} {
		history := raced(random, committers*perCommitter, overlap)
		ends, err := explain(history)
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		counting := commits
		counting.Step = func(state, input, output any) (bool, any) {
			ok, next := commits.Step(state, input, output)
			if ok {
				taken++
			}
			return ok, next
		}
		if !porcupine.CheckOperations(counting, operations(history, ends)) {
			t.Errorf("%d at a time: no order was found", overlap)
		}
		if taken != len(history) {
			t.Errorf("%d at a time: %d steps for %d calls", overlap, taken, len(history))
		}
	}
}

// raced is a history that an order explains, of calls that take up to twice so
// long as the given number of them.
func raced(random *rand.Rand, calls, overlap int) []call {
	var history []call
	var winners []storage.ItemID
	for i := range calls {
		c := call{client: i, epoch: FirstEpoch + uint64(len(winners)), item: random16()}
		at := 4 * i
		c.called, c.returned = time.Duration(max(0, at-random.IntN(4*overlap))), time.Duration(at+random.IntN(4*overlap))
		if len(winners) > 0 && random.IntN(3) > 0 {
			back := 1 + random.IntN(len(winners))
			c.current, c.epoch = c.epoch, c.epoch-uint64(back)
			c.winner = winners[len(winners)-back]
		} else {
			c.won = true
			winners = append(winners, c.item)
		}
		history = append(history, c)
	}
	return history
}
