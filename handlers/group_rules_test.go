package handlers

import (
	"context"

	"longwire/chat"
)

// The double's answers for what groups have beyond members.

var (
	later        = then + 3_600_000
	uses         = 3
	invitation   = chat.Invitation{ID: bob, GroupID: bob, Code: "code", CreatedBy: ada, CreatedAt: then, ExpiresAt: &later, MaxUses: &uses, Uses: 1}
	ban          = chat.Ban{GroupID: bob, User: profile, BannedBy: ada, Reason: "Spam.", BannedAt: then}
	saidBySystem = chat.Message{
		ConversationID: bob, Seq: 8, SenderID: ada, Kind: chat.KindSystem, Body: "Ada renamed the group.", Mentions: []chat.ID{}, CreatedAt: then,
		System: &chat.SystemEvent{Type: chat.SystemGroupRenamed, UserIDs: []chat.ID{}, By: ada, Name: "Chess"},
	}
)

func (d *double) AcceptJoinRequest(context.Context, chat.Caller, chat.ID, chat.ID) (chat.Member, error) {
	return member, d.called("AcceptJoinRequest")
}

func (d *double) MyJoinRequests(context.Context, chat.Caller, chat.Page) (chat.List[chat.JoinRequest], error) {
	return listOf(joining), d.called("MyJoinRequests")
}

func (d *double) CreateInvitation(context.Context, chat.Caller, chat.ID, chat.NewInvitation) (chat.Invitation, bool, error) {
	return invitation, d.replayed, d.called("CreateInvitation")
}

func (d *double) Invitations(context.Context, chat.Caller, chat.ID, chat.Page) (chat.List[chat.Invitation], error) {
	return listOf(invitation), d.called("Invitations")
}

func (d *double) RevokeInvitation(context.Context, chat.Caller, chat.ID, chat.ID) error {
	return d.called("RevokeInvitation")
}

func (d *double) PreviewInvitation(context.Context, chat.Caller, string) (chat.InvitationPreview, error) {
	return chat.InvitationPreview{Group: group, InvitedBy: profile, ExpiresAt: &later}, d.called("PreviewInvitation")
}

func (d *double) JoinByInvitation(context.Context, chat.Caller, string) (chat.Group, error) {
	return group, d.called("JoinByInvitation")
}

func (d *double) SetAnnouncement(context.Context, chat.Caller, chat.ID, string) (chat.Group, error) {
	return group, d.called("SetAnnouncement")
}

func (d *double) RemoveAnnouncement(context.Context, chat.Caller, chat.ID) error {
	return d.called("RemoveAnnouncement")
}

func (d *double) MuteMember(context.Context, chat.Caller, chat.ID, chat.ID, chat.Time) (chat.Member, error) {
	return member, d.called("MuteMember")
}

func (d *double) UnmuteMember(context.Context, chat.Caller, chat.ID, chat.ID) error {
	return d.called("UnmuteMember")
}

func (d *double) BanUser(context.Context, chat.Caller, chat.ID, chat.ID, string) (chat.Ban, error) {
	return ban, d.called("BanUser")
}

func (d *double) LiftBan(context.Context, chat.Caller, chat.ID, chat.ID) error {
	return d.called("LiftBan")
}

func (d *double) Bans(context.Context, chat.Caller, chat.ID, chat.Page) (chat.List[chat.Ban], error) {
	return listOf(ban), d.called("Bans")
}
