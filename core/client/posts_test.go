package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// What has waited goes out in few calls, and in its order.
func TestWaitingMessagesGoTogether(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	came, release := blockRequests[*qpcv1.PostRequest](f)
	var want []string
	for i := range 150 {
		text := fmt.Sprint("message ", i)
		want = append(want, text)
		alice.send(id, text)
		if i == 0 {
			<-came
		}
	}
	release()
	bob.awaitTexts(id, want...)
	alice.awaitTexts(id, want...)
	f.mu.Lock()
	defer f.mu.Unlock()
	total := 0
	for _, n := range f.batches {
		total += n
	}
	if total != 149 || len(f.batches) > 4 {
		t.Errorf("batches of %v", f.batches)
	}
}

// Messages whose epoch is over by the time they are sent are all sealed anew
// at once, and keep their order.
func TestWaitingMessagesOfAPastEpoch(t *testing.T) {
	f := newFakeServer(t)
	alice, bob := f.register("alice"), f.register("bob")
	id := group(alice, bob)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	f.hold(alice.Client)
	if err := bob.RotateKeys(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	came, release := blockRequests[*qpcv1.PostRequest](f)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("message ", i))
		alice.send(id, want[i])
		if i == 0 {
			<-came
		}
	}
	release()
	f.release(alice.Client)
	bob.awaitTexts(id, want...)
	alice.awaitTexts(id, want...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.batches) > 6 {
		t.Errorf("batches of %v", f.batches)
	}
}

// What waits in a group that this device has lost goes out together, once and in
// its order, when it has come back.
func TestWaitingMessagesGoTogetherAfterComingBack(t *testing.T) {
	f := newFakeServer(t)
	alice, bob, carol := f.register("alice"), f.register("bob"), f.register("carol")
	id := group(alice, bob, carol)
	f.mu.Lock()
	f.strict = true
	f.mu.Unlock()
	came, release := blockRequests[*qpcv1.PostRequest](f)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("message ", i))
		carol.send(id, want[i])
		if i == 0 {
			<-came
		}
	}
	f.loseCommit(carol, id, bob.rotate(id))
	release()
	carol.until("the refusal", func() bool { return carol.lookup(id).waitsFor() > 0 })
	if err := carol.findLost(t.Context()); err != nil {
		t.Fatal(err)
	}
	carol.awaitEvent(id, EventReturned)
	alice.awaitTexts(id, want...)
	bob.awaitTexts(id, want...)
	carol.awaitTexts(id, want...)
	carol.until("all are sent", func() bool {
		return !slices.ContainsFunc(carol.messages(id), func(m Message) bool { return m.Kind == KindText && m.State != StateSent })
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.batches) > 6 {
		t.Errorf("batches of %v", f.batches)
	}
}

// The pieces of several conversations share calls within the bounds of one.
func TestPostsShareCalls(t *testing.T) {
	gate := make(chan struct{})
	began := make(chan int, 100)
	errFirst := errors.New("first")
	p := &posts{
		spawn: func(f func()) bool { go f(); return true },
		call: func(_ context.Context, req, resp proto.Message) error {
			if one, ok := req.(*qpcv1.PostRequest); ok {
				began <- 1
				<-gate
				resp.(*qpcv1.PostResponse).ChannelSeq = uint64(len(one.Body))
				return nil
			}
			batch := req.(*qpcv1.BatchPostRequest)
			began <- len(batch.Posts)
			<-gate
			if len(batch.Posts[0].Body) == 999 {
				return errFirst
			}
			for _, one := range batch.Posts {
				outcome := &qpcv1.PostOutcome{Outcome: &qpcv1.PostOutcome_Posted{Posted: &qpcv1.PostResponse{ChannelSeq: uint64(len(one.Body))}}}
				if len(one.Body) == 13 {
					outcome.Outcome = &qpcv1.PostOutcome_Error{Error: &qpcv1.Error{Code: qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE}}
				}
				resp.(*qpcv1.BatchPostResponse).Outcomes = append(resp.(*qpcv1.BatchPostResponse).Outcomes, outcome)
			}
			return nil
		},
	}
	results := make(chan []postOutcome, 100)
	send := func(sizes ...int) {
		var reqs []*qpcv1.PostRequest
		for _, n := range sizes {
			reqs = append(reqs, &qpcv1.PostRequest{Body: make([]byte, n)})
		}
		go func() { results <- p.send(t.Context(), reqs) }()
	}
	waiting := func(n int) {
		for {
			p.mu.Lock()
			have := len(p.waiting)
			p.mu.Unlock()
			if have == n {
				return
			}
		}
	}
	for range maxPostCalls {
		send(1)
		<-began
	}
	// all calls are taken: the rest waits
	send(slices.Repeat([]int{5}, 40)...)
	waiting(1)
	send(12, 13, 14)
	waiting(2)
	send(slices.Repeat([]int{7}, 40)...) // too many for the same call
	waiting(3)
	send(999, 1)
	waiting(4)
	close(gate)
	sizes := []int{<-began, <-began}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{42, 43}) {
		t.Errorf("calls of %v posts", sizes)
	}
	seen := map[int]int{}
	for range maxPostCalls + 4 {
		outcomes := <-results
		seen[len(outcomes)]++
		if len(outcomes) == 3 && (outcomes[0].seq != 12 || wire.CodeOf(outcomes[1].err) != qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE || outcomes[2].seq != 14) {
			t.Errorf("got %+v", outcomes)
		}
	}
	if seen[1] != maxPostCalls || seen[40] != 2 || seen[3] != 1 || seen[2] != 1 {
		t.Errorf("outcomes of %v", seen)
	}
}
