package chat

// KindSystem is a message that says what happened to the conversation itself.
// Nobody can send one; its sender is who did what it says.
const KindSystem MessageKind = "system"

// SystemType says what a system message tells of.
type SystemType string

// The types. New ones may come: a client that does not know one shows the body.
const (
	SystemGroupCreated        SystemType = "group_created"        // user_ids: who was added at once
	SystemGroupRenamed        SystemType = "group_renamed"        // name: what it is called now
	SystemMemberJoined        SystemType = "member_joined"        // by: who added them; themselves when they joined
	SystemMemberLeft          SystemType = "member_left"          //
	SystemMemberRemoved       SystemType = "member_removed"       //
	SystemMemberBanned        SystemType = "member_banned"        //
	SystemOwnerChanged        SystemType = "owner_changed"        // user_ids: the new owner
	SystemAnnouncementChanged SystemType = "announcement_changed" // the group has the announcement
)

// SystemEvent is what a system message says to programs; its body says it to people.
type SystemEvent struct {
	Type    SystemType `json:"type"`
	UserIDs []ID       `json:"user_ids"` // whom it is about; never nil in JSON
	By      ID         `json:"by"`
	Name    string     `json:"name,omitempty"`
}

// sentence says the same in English. About is the first of the users; nil = there is none.
func (e SystemEvent) sentence(by Profile, about *Profile) string {
	who, whom := by.DisplayName, ""
	if about != nil {
		whom = about.DisplayName
	}
	switch e.Type {
	case SystemGroupCreated:
		return who + " created the group."
	case SystemGroupRenamed:
		return who + " renamed the group to “" + e.Name + "”."
	case SystemMemberJoined:
		if about == nil || about.ID == by.ID {
			return who + " joined."
		}
		return who + " added " + whom + "."
	case SystemMemberLeft:
		return who + " left."
	case SystemMemberRemoved:
		return who + " removed " + whom + "."
	case SystemMemberBanned:
		return who + " banned " + whom + "."
	case SystemOwnerChanged:
		return who + " made " + whom + " the owner."
	case SystemAnnouncementChanged:
		return who + " changed the announcement."
	default:
		return who + " changed the group."
	}
}

// tellAll appends an event to the inboxes of all members and of those named
// besides, and then puts a system message that tells the same into the
// conversation, for the members. The event comes first, so that somebody who
// joins gets the message as a member, and somebody who left does not.
func tellAll(tx Tx, group ID, kind EventType, data any, said SystemEvent, besides ...ID) error {
	members, err := tx.MemberIDs(group)
	if err != nil {
		return err
	}
	everybody := append(append(make([]ID, 0, len(members)+len(besides)), members...), besides...)
	if err := tx.Append(kind, data, everybody...); err != nil {
		return err
	}
	by, err := tx.UserByID(said.By)
	if err != nil {
		return err
	}
	var about *Profile
	if len(said.UserIDs) == 1 {
		user, err := tx.UserByID(said.UserIDs[0])
		if err != nil {
			return err
		}
		about = &user.Profile
	}
	if said.UserIDs == nil {
		said.UserIDs = []ID{}
	}
	return tx.Post(Message{
		ConversationID: group, SenderID: said.By, Kind: KindSystem, Body: said.sentence(by.Profile, about),
		Mentions: []ID{}, System: &said,
	}, members...)
}
