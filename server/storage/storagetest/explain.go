package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"quicprochat/server/storage"
)

// searchPatience is far more than the search takes for a narrowed history.
const searchPatience = time.Minute

// checkCommits tells why no order explains a history; nil where one does. It
// has to be found twice: by what follows from the bounds of each epoch, and by
// porcupine's search.
func checkCommits(history []call) error {
	ends, err := explain(history)
	if err != nil {
		return err
	}
	if result := porcupine.CheckOperationsTimeout(commits, operations(history, ends), searchPatience); result != porcupine.Ok {
		return fmt.Errorf("the bounds of the epochs allow an order, and the search says %v", result)
	}
	return nil
}

// explain returns the earliest moments at which the epochs, from FirstEpoch, may
// have ended, or why there are none. The outcome of every commit is known, so
// who ended which epoch is, and the only freedom is when: an epoch ends after
// the one before it, after the call of the commit that ended it, and after the
// calls of all that were told of it as the current; and not after that commit
// returned, or anybody who was told of a later one. The earliest moments keep
// all of that if any do.
func explain(history []call) ([]time.Duration, error) {
	enders := make(map[uint64]call)
	told := make(map[uint64]time.Duration) // the last call that was told of an epoch
	for _, c := range history {
		if !c.won {
			told[c.current] = max(told[c.current], c.called)
			continue
		}
		if _, twice := enders[c.epoch]; twice {
			return nil, fmt.Errorf("epoch %d was won twice", c.epoch)
		}
		enders[c.epoch] = c
	}
	var ends []time.Duration
	var end time.Duration
	for epoch := uint64(FirstEpoch); len(ends) < len(enders); epoch++ {
		c, ok := enders[epoch]
		if !ok {
			return nil, fmt.Errorf("epoch %d was not won, and a later one was", epoch)
		}
		end = max(end, c.called, told[epoch])
		if end > c.returned {
			return nil, fmt.Errorf("epoch %d ended at %v or later, and was won at %v or before", epoch, end, c.returned)
		}
		ends = append(ends, end)
	}
	for _, c := range history {
		if err := c.checkTold(enders, ends); err != nil && !c.won {
			return nil, err
		}
	}
	return ends, nil
}

// checkTold tells whether a loser was told the truth, and no sooner than it was
// true.
func (c call) checkTold(enders map[uint64]call, ends []time.Duration) error {
	begun := c.current - FirstEpoch // so many epochs were over
	look := c.item == storage.ItemID{}
	switch {
	case c.current < FirstEpoch || begun > uint64(len(ends)):
		return fmt.Errorf("epoch %d was never reached", c.current)
	case begun > 0 && c.returned < ends[begun-1]:
		return fmt.Errorf("at %v epoch %d was seen, which began at %v or later", c.returned, c.current, ends[begun-1])
	case look:
		return nil
	case c.epoch >= c.current:
		return errors.New("a commit lost an epoch that is not over")
	case c.winner != enders[c.epoch].item:
		return fmt.Errorf("a wrong winner of epoch %d was told at epoch %d", c.epoch, c.current)
	}
	return nil
}

// operations is a history as porcupine takes it. Its search goes by the times of
// calls, and where it lets a commit end an epoch before others that were told of
// it as the current, it finds out only when those return, after all subsets of
// what else is under way. So a commit that won is said to be called at the
// earliest moment at which it can have ended its epoch: then the search never
// has to go back. A shorter call allows fewer orders and no others, so what is
// found is an order of the calls as they were.
func operations(history []call, ends []time.Duration) []porcupine.Operation {
	ops := make([]porcupine.Operation, 0, len(history))
	for _, c := range history {
		op := porcupine.Operation{ClientId: c.client, Input: c, Output: c, Call: 2 * int64(c.called), Return: 2*int64(c.returned) + 1}
		if c.won && ends != nil {
			op.Call = 2*int64(ends[c.epoch-FirstEpoch]) + 1 // after others of the same moment
		}
		ops = append(ops, op)
	}
	return ops
}

// epochs is a channel's state to the model: the items that ended its epochs,
// from FirstEpoch.
type epochs []storage.ItemID

func (e epochs) current() uint64 { return uint64(FirstEpoch + len(e)) }

// commits is the compare-and-swap as it should be.
var commits = porcupine.Model{
	Init: func() any { return epochs(nil) },
	Step: func(state, _, output any) (bool, any) {
		s, c := state.(epochs), output.(call)
		switch {
		case c.won && c.epoch == s.current():
			return true, append(s[:len(s):len(s)], c.item)
		case c.won || c.current != s.current():
			return false, s
		case c.item == storage.ItemID{}:
			return true, s
		}
		return c.epoch < s.current() && s[c.epoch-FirstEpoch] == c.winner, s
	},
	Equal: func(a, b any) bool { return slices.Equal(a.(epochs), b.(epochs)) },
}
