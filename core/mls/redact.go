package mls

import "fmt"

// What holds secrets, or the caller's signing key, prints without them, whatever the
// verb: a log line must not be where they end up.

// Format prints id and epoch.
func (g Group) Format(f fmt.State, _ rune) {
	if g.cur == nil {
		fmt.Fprint(f, "mls.Group{}")
		return
	}
	fmt.Fprintf(f, "mls.Group{%x, epoch %d, leaf %d}", g.cur.context.groupID, g.cur.context.epoch, g.own)
}

// Format prints which epoch ends and who ends it.
func (s StagedCommit) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.StagedCommit{epoch %d, by %d}", s.Epoch, s.Committer)
}

// Format prints the KeyPackageRef.
func (b KeyPackageBundle) Format(f fmt.State, _ rune) {
	if b.kp == nil {
		fmt.Fprint(f, "mls.KeyPackageBundle{}")
		return
	}
	fmt.Fprintf(f, "mls.KeyPackageBundle{%x}", b.kp.Ref())
}

// Format prints the key and how long the value is.
func (c Change) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.Change{%q, %d bytes}", c.Key, len(c.Value))
}

// Format prints suite and credential.
func (o KeyPackageOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.KeyPackageOptions{%v, %v}", o.Suite, o.Credential)
}

// Format prints group id, suite and credential.
func (p CreateParams) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.CreateParams{%x, %v, %v}", p.GroupID, p.Suite, p.Credential)
}

// Format prints the credential.
func (o ExternalJoinOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.ExternalJoinOptions{%v}", o.Credential)
}

// Format prints the credential.
func (o SuccessorOptions) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.SuccessorOptions{%v}", o.Credential)
}

// Format prints group id, epoch and sender.
func (p ExternalProposalParams) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.ExternalProposalParams{%x, epoch %d, sender %d}", p.GroupID, p.Epoch, p.Sender)
}
