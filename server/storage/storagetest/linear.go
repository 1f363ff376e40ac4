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
	// forgotten: the epoch ended too long ago to tell who ended it.
	forgotten bool
}

// epochs is a channel's state to the model: the items that ended its epochs,
// from FirstEpoch.
type epochs []storage.ItemID

func (e epochs) current() uint64 { return uint64(FirstEpoch + len(e)) }

// commits is the compare-and-swap as it should be.
var commits = porcupine.NondeterministicModel{
	Init: func() []any { return []any{epochs(nil)} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(epochs), input.(commitInput), output.(commitOutput)
		if in.item == (storage.ItemID{}) || out.forgotten {
			return keepIf(s, out.unknown || out.current == s.current())
		}
		swapped := append(s[:len(s):len(s)], in.item)
		before := false // it has won in an earlier try
		for i, item := range s {
			before = before || item == in.item && uint64(FirstEpoch+i) == in.epoch
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
		told := out.winner != nil && in.epoch < s.current() && *out.winner == s[in.epoch-FirstEpoch]
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

// CheckLinearizable lets the committers of [CheckCommits] race through stores of
// one database, while disturb does harm to it. The queues get the commits.
func CheckLinearizable(t *testing.T, stores []storage.Store, queues []storage.QueueID, disturb func()) {
	t.Helper()
	c := newChannel(t, stores[0], queues...)
	commit := func(client int, epoch uint64, item storage.ItemID) error {
		com := newCommit(c.ID, epoch, "c")
		com.Item = item
		_, err := stores[client%len(stores)].Commit(t.Context(), com)
		return err
	}
	ended := CheckCommits(t, commit, func() uint64 { return channelOf(t, stores[0], c.ID).Epoch }, disturb)
	items := fetchAll(t, stores[0], queues[0], 0)
	equal(t, "commits in the queue", len(items), ended)
}

// FirstEpoch is the epoch in which a channel for CheckCommits begins.
const FirstEpoch = 7

// CheckCommits lets 32 committers race, while disturb does harm to whoever
// serves them, and fails where no order of the commits, each at one moment
// between its call and its return, explains what was answered. It returns how
// many epochs were ended.
//
// commit commits for one of the committers: nil where it has won,
// *storage.StaleError where it has lost, and another error where it may have
// been carried out or not; then it is repeated, as clients do. The winner may be
// missing for epochs more than storage.WinnerEpochs ago. current is the channel's
// epoch when all is done.
func CheckCommits(t *testing.T, commit func(client int, epoch uint64, item storage.ItemID) error, current func() uint64, disturb func()) int {
	t.Helper()
	const committers, perCommitter = 32, 12
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	var wg sync.WaitGroup
	for client := range committers {
		wg.Go(func() {
			in := commitInput{FirstEpoch, random16()}
			for done := 0; done < perCommitter && t.Context().Err() == nil; {
				called := time.Since(start)
				out := outputOf(commit(client, in.epoch, in.item))
				out.forgotten = out.current > in.epoch+storage.WinnerEpochs && out.winner == nil
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
					in.epoch++
				} else {
					in.epoch = out.current
				}
				in.item = random16()
			}
		})
	}
	disturb()
	wg.Wait()
	at := time.Since(start)
	now := current()
	history = append(history, porcupine.Operation{ClientId: committers, Input: commitInput{}, Output: commitOutput{current: now}, Call: int64(at), Return: int64(time.Since(start))})
	if result := checkCommits(settled(history)); result != porcupine.Ok {
		t.Fatalf("%d commits are not linearizable: %v", len(history), result)
	}
	return int(now - FirstEpoch)
}

// settled makes one call of all tries of a commit, where the last one tells what
// became of it. One that was lost in the end was never carried out: else it had
// been told to have won, and after that its epoch is over. One that has won was
// carried out once, in one of the tries. Where the winner was forgotten, others
// may know it; else one of the tries before may have been carried out. Without
// this the search would have to try all moments at which each might have been.
func settled(history []porcupine.Operation) []porcupine.Operation {
	type tries struct {
		first   porcupine.Operation // the first that failed
		failed  bool
		last    porcupine.Operation // the one that was answered
		settled bool
	}
	byItem := make(map[storage.ItemID]*tries)
	winners := make(map[uint64]storage.ItemID) // as somebody was told
	var left []porcupine.Operation
	for _, op := range history {
		in, out := op.Input.(commitInput), op.Output.(commitOutput)
		if in.item == (storage.ItemID{}) {
			left = append(left, op)
			continue
		}
		switch {
		case out.won:
			winners[in.epoch] = in.item
		case out.winner != nil:
			winners[in.epoch] = *out.winner
		}
		t := byItem[in.item]
		if t == nil {
			t = &tries{}
			byItem[in.item] = t
		}
		switch {
		case !out.unknown:
			t.last, t.settled = op, true
		case !t.failed || op.Call < t.first.Call:
			t.first, t.failed = op, true
		}
	}
	for _, t := range byItem {
		out, _ := t.last.Output.(commitOutput)
		if t.settled && t.failed && out.won {
			t.last.Call = t.first.Call
		}
		if t.settled {
			left = append(left, t.last)
		}
		if t.failed && t.settled && out.forgotten {
			t.first.Return = t.last.Return
		}
		in, _ := t.first.Input.(commitInput)
		winner, known := winners[in.epoch]
		if known && winner == in.item {
			t.first.Output = commitOutput{won: true}
		}
		if t.failed && (!t.settled || out.forgotten) && (!known || winner == in.item) {
			t.first.ClientId = 1000 + len(left) // it overlaps with what its client did next
			left = append(left, t.first)
		}
	}
	return left
}

// checkCommits tells whether an order explains a history.
//
// The search goes by the times of calls. Where it let a commit end an epoch
// before one that was told of that epoch as the current, it would find out only
// when the latter returns, after all subsets of what else is under way. So a
// commit that won is taken to be called after all that were told of the epoch
// it ended: it took effect after them in any order, and they after their calls.
// So is one that may have won; where it was carried out, the same is true.
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
	var narrowed []porcupine.Operation
	for _, op := range history {
		in, unknown := op.Input.(commitInput), op.Output.(commitOutput).unknown
		op.Call, op.Return = 2*op.Call, 2*op.Return
		if last, told := seen[in.epoch]; told && (won[in.item] || unknown) {
			op.Call = max(op.Call, 2*last+1)
		}
		switch late := op.Call > op.Return+1; {
		case late && unknown:
			continue // it was not carried out
		case late:
			return porcupine.Illegal
		}
		op.Return = max(op.Return, op.Call)
		narrowed = append(narrowed, op)
	}
	return porcupine.CheckOperationsTimeout(commits.ToModel(), narrowed, time.Minute)
}

func outputOf(err error) commitOutput {
	if err == nil {
		return commitOutput{won: true}
	}
	if stale, ok := errors.AsType[*storage.StaleError](err); ok {
		return commitOutput{current: stale.Current, winner: stale.Winner}
	}
	return commitOutput{unknown: true}
}
