package storagetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"quicprochat/server/storage"
)

// commitInput is one commit, or, where item is zero, a look at the channel.
type commitInput struct {
	epoch uint64
	item  storage.ItemID
}

// commitOutput is what came of it.
type commitOutput struct {
	// unknown: it failed, and may have been carried out or not.
	unknown bool
	// won: the epoch was ended by this item, now or before.
	won bool
	// current is the epoch that a loser, or who looked, was told.
	current uint64
	// winner is who ended the epoch of a loser, as it was told.
	winner *storage.ItemID
}

// epochs is a channel's state to the model: the items that ended its epochs,
// from epoch 7.
type epochs []storage.ItemID

func (e epochs) current() uint64 { return uint64(7 + len(e)) }

// commits is the compare-and-swap as it should be.
var commits = porcupine.NondeterministicModel{
	Init: func() []any { return []any{epochs(nil)} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(epochs), input.(commitInput), output.(commitOutput)
		if in.item == (storage.ItemID{}) {
			return keepIf(s, out.unknown || out.current == s.current())
		}
		swapped := append(s[:len(s):len(s)], in.item)
		before := false // it has won in an earlier try
		for i, item := range s {
			before = before || item == in.item && uint64(7+i) == in.epoch
		}
		fits := in.epoch == s.current()
		switch {
		case out.unknown && fits:
			return []any{s, swapped}
		case out.unknown:
			return []any{s}
		case out.won && before:
			return []any{s}
		case out.won && fits:
			return []any{swapped}
		case out.won || fits || before || out.current != s.current():
			return nil
		}
		told := out.winner != nil && in.epoch < s.current() && *out.winner == s[in.epoch-7]
		return keepIf(s, told)
	},
	Equal: func(a, b any) bool { return len(a.(epochs)) == len(b.(epochs)) && equalItems(a.(epochs), b.(epochs)) },
}

func keepIf(s epochs, ok bool) []any {
	if !ok {
		return nil
	}
	return []any{s}
}

func equalItems(a, b epochs) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// testLinearizable lets 32 committers race and has what they were told checked
// against an order in which it could have happened.
func testLinearizable(t *testing.T, open Open) {
	s := open(t, storage.DefaultLimits())
	CheckLinearizable(t, []storage.Store{s}, enrolQueues(t, s, 2), func() {})
}

// CheckLinearizable lets 32 committers race through stores of one database,
// while disturb does harm to it, and fails where no order of the commits, each
// at one moment between its call and its return, explains what was answered. A
// call that fails may have been carried out or not; the committer repeats it,
// as clients do. The queues get the commits.
func CheckLinearizable(t *testing.T, stores []storage.Store, queues []storage.QueueID, disturb func()) {
	t.Helper()
	c := newChannel(t, stores[0], queues...)
	const committers, perCommitter = 32, 12
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	var wg sync.WaitGroup
	for client := range committers {
		wg.Go(func() {
			s := stores[client%len(stores)]
			epoch := uint64(7)
			in := commitInput{epoch, random16()}
			for done := 0; done < perCommitter; {
				called := time.Since(start)
				out := tryCommit(t, s, c.ID, in)
				op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(called), Return: int64(time.Since(start))}
				if out.unknown {
					op.Return = int64(time.Hour) // it may come into force late
				}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
				if out.unknown {
					time.Sleep(time.Millisecond) // as a client between tries
					continue
				}
				if done++; out.won {
					epoch++
				} else {
					epoch = out.current
				}
				in = commitInput{epoch, random16()}
			}
		})
	}
	disturb()
	wg.Wait()
	at := time.Since(start)
	now := channelOf(t, stores[0], c.ID).Epoch
	history = append(history, porcupine.Operation{ClientId: committers, Input: commitInput{}, Output: commitOutput{current: now}, Call: int64(at), Return: int64(time.Since(start))})
	for i := range history { // an open call overlaps with all that follow, and each client has one call at a time
		if history[i].Return == int64(time.Hour) {
			history[i].ClientId = committers + 1 + i
		}
	}
	if result := checkCommits(history); result != porcupine.Ok {
		t.Fatalf("%d commits are not linearizable: %v", len(history), result)
	}
	items := fetchAll(t, stores[0], queues[0], 0)
	equal(t, "commits in the queue", uint64(len(items)), now-7)
}

// checkCommits tells whether an order explains a history.
//
// The search goes by the times of calls. Where it let a commit end an epoch
// before one that was told of that epoch as the current, it would find out only
// when the latter returns, after all subsets of what else is under way. So a
// commit that won is taken to be called after all that were told of the epoch
// it ended: it took effect after them in any order, and they after their calls.
func checkCommits(history []porcupine.Operation) porcupine.CheckResult {
	seen := make(map[uint64]int64) // the last call that was told of an epoch as the current
	won := make(map[storage.ItemID]bool)
	for _, op := range history {
		in, out := op.Input.(commitInput), op.Output.(commitOutput)
		switch {
		case out.unknown:
		case out.won:
			won[in.item] = true
		default:
			seen[out.current] = max(seen[out.current], op.Call)
		}
	}
	narrowed := make([]porcupine.Operation, len(history))
	for i, op := range history {
		in := op.Input.(commitInput)
		op.Call, op.Return = 2*op.Call, 2*op.Return
		if last, told := seen[in.epoch]; told && won[in.item] {
			op.Call = max(op.Call, 2*last+1)
		}
		if op.Call > op.Return+1 {
			return porcupine.Illegal
		}
		op.Return = max(op.Return, op.Call)
		narrowed[i] = op
	}
	return porcupine.CheckOperationsTimeout(commits.ToModel(), narrowed, time.Minute)
}

func tryCommit(t *testing.T, s storage.Store, channel storage.ChannelID, in commitInput) commitOutput {
	com := newCommit(channel, in.epoch, "c")
	com.Item = in.item
	_, err := s.Commit(t.Context(), com)
	if err == nil {
		return commitOutput{won: true}
	}
	if stale, ok := errors.AsType[*storage.StaleError](err); ok {
		return commitOutput{current: stale.Current, winner: stale.Winner}
	}
	return commitOutput{unknown: true}
}
