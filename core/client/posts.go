package client

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// maxPosts and maxPostBytes bound a BatchPost, in requests and their bytes.
	maxPosts     = 64
	maxPostBytes = 3 << 20
	// maxPostCalls is how many calls are under way at a time. Posts that come
	// meanwhile wait for one to end, and then share the next.
	maxPostCalls = 8
)

// posts brings the posts of all conversations to the server: alone where
// nothing else waits, and otherwise several in a call.
type posts struct {
	call  func(ctx context.Context, req, resp proto.Message) error
	spawn func(func()) bool

	mu      sync.Mutex
	calls   int
	waiting []*parcel
}

// parcel is posts of one conversation in their order.
type parcel struct {
	reqs     []*qpcv1.PostRequest
	bytes    int
	outcomes []postOutcome
	done     chan struct{}
}

// postOutcome is what became of a post: its place in the channel, or an error as
// Call returns it.
type postOutcome struct {
	seq uint64
	err error
}

// send returns the outcome of each request when all are known. Behind a post
// that failed, the others of the conversation may be NOT_TRIED.
func (p *posts) send(ctx context.Context, reqs []*qpcv1.PostRequest) []postOutcome {
	one := &parcel{reqs: reqs, outcomes: make([]postOutcome, len(reqs)), done: make(chan struct{})}
	for _, r := range reqs {
		one.bytes += proto.Size(r) + 8 // and what encloses it
	}
	p.mu.Lock()
	p.waiting = append(p.waiting, one)
	start := p.calls < maxPostCalls
	if start {
		p.calls++
	}
	p.mu.Unlock()
	if start && !p.spawn(func() { p.work(ctx) }) {
		p.work(ctx) // closing: ctx has ended, and every call fails at once
	}
	<-one.done
	return one.outcomes
}

// work makes calls until nothing waits.
func (p *posts) work(ctx context.Context) {
	for {
		batch := p.take()
		if batch == nil {
			return
		}
		p.carry(ctx, batch)
		for _, one := range batch {
			close(one.done)
		}
	}
}

// take takes parcels for one call; nil ends the work.
func (p *posts) take() []*parcel {
	p.mu.Lock()
	defer p.mu.Unlock()
	count, bytes, n := 0, 0, 0
	for _, one := range p.waiting {
		count, bytes = count+len(one.reqs), bytes+one.bytes
		if n > 0 && (count > maxPosts || bytes > maxPostBytes) {
			break
		}
		n++
	}
	if n == 0 {
		p.calls--
		return nil
	}
	batch := p.waiting[:n:n]
	p.waiting = p.waiting[n:]
	return batch
}

// carry makes one call.
func (p *posts) carry(ctx context.Context, batch []*parcel) {
	var reqs []*qpcv1.PostRequest
	for _, one := range batch {
		reqs = append(reqs, one.reqs...)
	}
	outcomes := p.post(ctx, reqs)
	for _, one := range batch {
		copy(one.outcomes, outcomes)
		outcomes = outcomes[len(one.reqs):]
	}
}

func (p *posts) post(ctx context.Context, reqs []*qpcv1.PostRequest) []postOutcome {
	outcomes := make([]postOutcome, len(reqs))
	if len(reqs) == 1 {
		resp := new(qpcv1.PostResponse)
		outcomes[0].err = p.call(ctx, reqs[0], resp)
		outcomes[0].seq = resp.ChannelSeq
		return outcomes
	}
	resp := new(qpcv1.BatchPostResponse)
	err := p.call(ctx, &qpcv1.BatchPostRequest{Posts: reqs}, resp)
	for i := range outcomes {
		switch {
		case err != nil:
			outcomes[i].err = err
		case i >= len(resp.Outcomes):
			outcomes[i].err = fromWire(wire.NewError(qpcv1.ErrorCode_ERROR_CODE_INTERNAL, ""))
		case resp.Outcomes[i].GetPosted() != nil:
			outcomes[i].seq = resp.Outcomes[i].GetPosted().ChannelSeq
		default:
			outcomes[i].err = fromWire(wire.ErrorFromProto(resp.Outcomes[i].GetError()))
		}
	}
	return outcomes
}
