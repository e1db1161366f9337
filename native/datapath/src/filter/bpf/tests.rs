use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn run(program: &[(u16, u8, u8, u32)], frame: &[u8]) -> u32 {
    Program::new(&instructions(program)).unwrap().run(frame, 99)
}

fn refused(program: &[(u16, u8, u8, u32)]) -> ProgramError {
    Program::new(&instructions(program)).unwrap_err()
}

fn instructions(program: &[(u16, u8, u8, u32)]) -> Vec<Instruction> {
    let instruction = |&(code, jt, jf, k)| Instruction { code, jt, jf, k };
    program.iter().map(instruction).collect()
}

const RETURN_A: (u16, u8, u8, u32) = (0x16, 0, 0, 0);

#[test]
fn loads_see_the_frame_and_nothing_behind_it() {
    let frame = [1, 2, 3, 4, 0x45];
    let load = |code, k| run(&[(code, 0, 0, k), RETURN_A], &frame);
    assert_eq!(load(0x20, 0), 0x0102_0304);
    assert_eq!(load(0x20, 1), 0x0203_0445);
    assert_eq!(load(0x20, 2), 0);
    assert_eq!(load(0x28, 3), 0x0445);
    assert_eq!(load(0x28, 4), 0);
    assert_eq!(load(0x30, 4), 0x45);
    assert_eq!(load(0x30, 5), 0);
    assert_eq!(load(0x30, u32::MAX), 0);
    assert_eq!(load(0x80, 0), 99);
    assert_eq!(load(0x00, 7), 7);
}

#[test]
fn x_moves_loads_but_not_around_the_end_of_numbers() {
    let frame = [1, 2, 3, 4, 0x45];
    let load = |x, k| run(&[(0x01, 0, 0, x), (0x50, 0, 0, k), RETURN_A], &frame);
    assert_eq!(load(1, 2), 4);
    assert_eq!(load(u32::MAX, 1), 0);
    assert_eq!(load(1, u32::MAX), 0);
    let header = [(0xb1, 0, 0, 4), (0x87, 0, 0, 0), RETURN_A];
    assert_eq!(run(&header, &frame), 20);
    assert_eq!(run(&header, &frame[..4]), 0);
}

#[test]
fn memory_keeps_what_was_stored() {
    let program = [
        (0x00, 0, 0, 5),
        (0x02, 0, 0, 15),
        (0x01, 0, 0, 6),
        (0x03, 0, 0, 0),
        (0x60, 0, 0, 0),
        (0x61, 0, 0, 15),
        // A = 6 - 5.
        (0x1c, 0, 0, 0),
        RETURN_A,
    ];
    assert_eq!(run(&program, &[]), 1);
}

#[test]
fn nothing_is_divided_by_zero() {
    for code in [0x34, 0x94] {
        let by = |k| run(&[(0x00, 0, 0, 9), (code, 0, 0, k), (0x06, 0, 0, 1)], &[]);
        assert_eq!((by(2), by(0)), (1, 0));
    }
    for code in [0x3c, 0x9c] {
        assert_eq!(run(&[(code, 0, 0, 0), (0x06, 0, 0, 1)], &[]), 0);
    }
}

#[test]
fn what_would_not_end_or_not_be_there_is_refused() {
    use ProgramError::{BadJump, Empty, NoSuchMemory, TooLong, Unknown};
    let end = (0x06, 0, 0, 0);
    assert_eq!(refused(&[]), Empty);
    assert_eq!(refused(&vec![end; MAX_INSTRUCTIONS + 1]), TooLong);
    assert_eq!(refused(&[(0x05, 0, 0, u32::MAX), end]), BadJump { at: 0 });
    assert_eq!(refused(&[(0x05, 0, 0, 1), end]), BadJump { at: 0 });
    assert_eq!(refused(&[(0x15, 0, 1, 0), end]), BadJump { at: 0 });
    assert_eq!(refused(&[(0x15, 1, 0, 0), end]), BadJump { at: 0 });
    // The last instruction goes on.
    assert_eq!(refused(&[end, (0x87, 0, 0, 0)]), BadJump { at: 1 });
    assert_eq!(refused(&[(0x02, 0, 0, 16), end]), NoSuchMemory { at: 0 });
    assert_eq!(refused(&[(0x61, 0, 0, 16), end]), NoSuchMemory { at: 0 });
    for code in [
        0x18, 0x21, 0xa0, 0xb4, 0x55, 0x0e, 0x1f, 0x88, 0x12, 0x120, 0x106,
    ] {
        assert_eq!(refused(&[(code, 0, 0, 0), end]), Unknown { at: 0, code });
    }
}

proptest! {
    #[test]
    fn no_program_and_no_frame_panics(
        program in vec((0u16..0x100, 0u8..6, 0u8..6, prop_oneof![0u32..40, any::<u32>()]), 0..30),
        frame in vec(any::<u8>(), 0..40),
        wire_len: u32,
    ) {
        let mut program = instructions(&program);
        program.extend(instructions(&[(0x06, 0, 0, 1); 7]));
        if let Ok(program) = Program::new(&program) {
            program.run(&frame, wire_len);
        }
    }
}
